/** Spans of time as people write them. */
import { BeltError } from '../errors.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
/** A day: more is a slip of the finger. */
const LONGEST_MS = 86_400_000;

/** `90s`, `10m`, `1h`, `500ms`, or plain seconds → milliseconds. Throws `usage`. */
export function parseDuration(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const ms = match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2] ?? 's'] ?? 1);
  if (!(ms > 0 && ms <= LONGEST_MS)) throw new BeltError('usage', `--${flag} ${text} is no span of time`, { next: `write --${flag} 90s, 10m or 1h (a day at most)` });
  return ms;
}
