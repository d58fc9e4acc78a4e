/** When a certificate is renewed. Pure; times in ms since 1970, `chance` uniform in [0, 1). */

/** Shares of a certificate's life: renewed between 0.5 and 0.6 of it, so that nodes made together do not renew together. */
export const RENEWAL = { share: 0.5, jitter: 0.1, retryShare: 0.02, retryMsMin: 500, retryMsMax: 600_000 } as const;

/** The instant to renew at. The draw should be made once per certificate. */
export function renewAt(notBefore: number, notAfter: number, chance: number): number {
  return notBefore + (notAfter - notBefore) * (RENEWAL.share + RENEWAL.jitter * chance);
}

/** How long to wait after a try that failed: a fiftieth of the life, within bounds, spread by half. */
export function renewRetryMs(notBefore: number, notAfter: number, chance: number): number {
  const wait = Math.min(RENEWAL.retryMsMax, Math.max(RENEWAL.retryMsMin, (notAfter - notBefore) * RENEWAL.retryShare));
  return wait * (0.5 + chance);
}
