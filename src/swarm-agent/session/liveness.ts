/**
 * Whether workers live, as their leader sees it. Pure: every method is given the time. A worker is `ready` while it holds a session and its
 * heartbeats arrive, and `down` at the latest 10 s after the last sign of life. A new leader knows nobody: until the workers have had
 * time to find it, those it has not seen are `unknown`, not `down`.
 */

/** Milliseconds. `closedMs`: how long a broken session may take to come back. Sums stay under the 10 s the design promises. */
export const LIVENESS = { beatMs: 2500, silentMs: 7500, closedMs: 4000, settleMs: 9500 } as const;

interface Sign {
  readonly at: number;
  readonly open: boolean;
}

export class Liveness {
  readonly #signs = new Map<string, Sign>();
  #leadingSince: number;

  constructor(now: number) {
    this.#leadingSince = now;
  }

  /** Leadership began at `now`: what was seen in an earlier one counts no more. */
  lead(now: number): void {
    this.#signs.clear();
    this.#leadingSince = now;
  }

  /** The node gave a sign of life on an open session. */
  seen(id: string, now: number): void {
    this.#signs.set(id, { at: now, open: true });
  }

  /** Its session ended. */
  closed(id: string, now: number): void {
    if (this.#signs.has(id)) this.#signs.set(id, { at: now, open: false });
  }

  forget(id: string): void {
    this.#signs.delete(id);
  }

  status(id: string, now: number): 'ready' | 'down' | 'unknown' {
    const sign = this.#signs.get(id);
    if (sign === undefined) return now - this.#leadingSince < LIVENESS.settleMs ? 'unknown' : 'down';
    return now - sign.at <= (sign.open ? LIVENESS.silentMs : LIVENESS.closedMs) ? 'ready' : 'down';
  }
}
