/** When a certificate is renewed: pure, so that a month passes in a test in no time. */

export interface Validity {
  /** ms since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Shares of the lifetime: renewal starts at half-life, spread over a twentieth, so that machines made together do not come together. */
const HALF_LIFE = 0.5;
const SPREAD = 0.05;
/** Between failed tries: a hundredth of the lifetime, from a second to an hour. */
const RETRY_SHARE = 0.01;

/** When to renew, ms since 1970. `chance` in [0, 1) is drawn once a certificate. */
export function renewAt({ notBefore, notAfter }: Validity, chance: number): number {
  return notBefore + (notAfter - notBefore) * (HALF_LIFE + SPREAD * chance);
}

/** How long to wait after the `failures`-th failed try in a row, ms: doubling, jittered, never past what is left of the certificate. */
export function retryAfterMs({ notBefore, notAfter }: Validity, failures: number, nowMs: number, chance: number): number {
  const base = Math.min(3_600_000, Math.max(1_000, (notAfter - notBefore) * RETRY_SHARE));
  const bound = Math.min(3_600_000, base * 2 ** Math.min(10, failures - 1));
  const waitMs = bound * (0.5 + chance / 2);
  const leftMs = notAfter - nowMs;
  return leftMs > 0 ? Math.min(waitMs, Math.max(500, leftMs / 4)) : waitMs;
}

export type Freshness = 'fresh' | 'due' | 'expired';

/** Where a certificate stands in its life. */
export function freshness(validity: Validity, nowMs: number): Freshness {
  if (nowMs >= validity.notAfter) return 'expired';
  return nowMs >= renewAt(validity, 0) ? 'due' : 'fresh';
}
