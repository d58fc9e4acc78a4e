/** How long to wait before dialing a manager again. Pure; `chance` is uniform in [0, 1). */

/** Milliseconds; `perNode` spreads a whole cluster that lost its leader over about what one leader can shake hands with (1,000 a second). */
export const BACKOFF = { firstMs: 100, perNodeMs: 1, spreadMsMax: 4000, msMax: 5000 } as const;

/** `rounds` counts the rounds over all known managers since the last session: 0 for the pause after it broke. */
export function backoffMs(rounds: number, nodes: number, chance: number): number {
  const spread = Math.min(BACKOFF.spreadMsMax, BACKOFF.firstMs + nodes * BACKOFF.perNodeMs);
  return Math.min(BACKOFF.msMax, spread * 2 ** Math.min(rounds, 10)) * chance;
}
