/** How long to wait before dialing a manager again. Pure; `chance` is uniform in [0, 1). */

/** Milliseconds; `perNode` spreads a whole cluster that lost its leader over about what one leader can shake hands with (1,000 a second). */
export const BACKOFF = { firstMs: 100, perNodeMs: 1, spreadMsMax: 4000, msMax: 5000 } as const;

/** `failures` counts the tries that failed since the last success: 0 for the first try after a session broke. */
export function backoffMs(failures: number, nodes: number, chance: number): number {
  const spread = Math.min(BACKOFF.spreadMsMax, BACKOFF.firstMs + nodes * BACKOFF.perNodeMs);
  return Math.min(BACKOFF.msMax, spread * 2 ** Math.min(failures, 10)) * chance;
}
