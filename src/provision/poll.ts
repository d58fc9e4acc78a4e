/** How long to wait between two looks at a cloud. */

/**
 * Milliseconds from look number `poll` (from 0) at `machines` machines to the next: short at first, because small things are done in a moment, and never
 * longer than `slowestMs`; for many it begins later, since their lists are many pages.
 */
export function pollDelayMs(poll: number, machines: number, slowestMs = machines > 1000 ? 20_000 : 5_000): number {
  return Math.min(slowestMs, Math.round(250 * Math.max(1, machines / 100) * 1.5 ** poll));
}
