/** Exit codes of commands on machines, as shells and OpenSSH have them. */
import { constants } from 'node:os';

import { EXIT, type ExitCode } from '../errors.ts';
import type { ExitStatus } from '../ssh/channel.ts';

/** What ssh(1) exits with when it did not get to run the command. */
export const UNREACHABLE = 255;

/** The remote code; 128 and the signal's number where a signal ended the command. */
export function exitCodeOf({ code, signal }: ExitStatus): number {
  if (code !== null) return code;
  const number = constants.signals[`SIG${(signal ?? '').replace(/^SIG/, '')}` as keyof typeof constants.signals];
  return number === undefined ? UNREACHABLE : 128 + number;
}

/** On one machine its own code; on several done, partly or failed. `codes`: null where the machine was not reached. */
export function combinedExit(codes: readonly (number | null)[]): number | ExitCode {
  if (codes.length === 1) return codes[0] ?? UNREACHABLE;
  const done = codes.filter((code) => code === 0).length;
  return done === codes.length ? EXIT.done : done > 0 ? EXIT.partly : EXIT.failed;
}
