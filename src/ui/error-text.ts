/** What people read when something failed: what, on which machine, why, and what to type next. */
import { BeltError, isBeltError, type Outcome } from '../errors.ts';
import { compressNames } from '../range/compress.ts';

/** Most failed machines that are named one by one before the rest is counted. */
const NAMED_MAX = 50;

/** What an operator mends and belt cannot: no fault of belt. */
const SYSTEM_NEXT: Readonly<Record<string, string>> = {
  EACCES: 'work in a folder that you may write to, or have its owner changed',
  EPERM: 'work in a folder that you may write to, or have its owner changed',
  EROFS: 'work in a folder that can be written to',
  ENOSPC: 'make room on the disk; the same command again goes on from here',
  EDQUOT: 'make room in your quota; the same command again goes on from here',
  EMFILE: 'raise the limit of open files: ulimit -n 65536',
};

/** The lines for an error. Stack traces and causes come with `debug` only; a bug of ours says how to report it. */
export function errorLines(error: unknown, debug: boolean): string[] {
  const lines: string[] = [];
  if (isBeltError(error)) {
    const about = error.machine !== undefined && !error.message.includes(error.machine) ? `${error.machine}: ` : '';
    lines.push(`belt: ${about}${error.message}`);
    if (error.next !== undefined) lines.push(`next: ${error.next}`);
  } else if (error instanceof Error && 'code' in error && SYSTEM_NEXT[String(error.code)] !== undefined) {
    lines.push(`belt: ${error.message}`, `next: ${SYSTEM_NEXT[String(error.code)]}`);
  } else {
    lines.push(`belt: a fault of belt itself: ${error instanceof Error ? error.message : String(error)}`);
    if (!debug) lines.push('next: run it again with --debug and report what it prints');
  }
  if (debug) lines.push(...trace(error));
  return lines;
}

function trace(error: unknown): string[] {
  const lines: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    lines.push(...(lines.length === 0 ? '' : 'caused by: ').concat(at.stack ?? at.message).split('\n'));
  }
  return lines;
}

/** One line a failed machine, `name: why`, with its own way out where it has one. */
export function failureLines(outcomes: readonly Outcome<unknown>[]): string[] {
  const all = outcomes.filter((outcome) => !outcome.ok);
  // Ctrl-C is one reason, whatever the number of machines it met.
  const cut = all.filter((outcome) => outcome.error.code === 'interrupted').map((outcome) => outcome.name);
  const failed = all.filter((outcome) => outcome.error.code !== 'interrupted');
  const lines = failed.slice(0, NAMED_MAX).map((outcome) => `  ${withName(outcome.name, outcome.error.message)}${outcome.error.next === undefined ? '' : ` (next: ${outcome.error.next})`}`);
  if (failed.length > NAMED_MAX) lines.push(`  … and ${failed.length - NAMED_MAX} more`);
  if (cut.length > 0) lines.push(`  interrupted: ${compressNames(cut)}`);
  return lines;
}

function withName(name: string, message: string): string {
  return message.startsWith(`${name}:`) || message.startsWith(`${name} `) ? message : `${name}: ${message}`;
}

/**
 * The one error a bulk operation ends with: null when all is done; the machine's own error where one machine was asked for; `partly` when some
 * are done; `failed` when none is. `act` is what was not done, such as "started".
 */
export function outcomeError(outcomes: readonly Outcome<unknown>[], act: string): BeltError | null {
  const failed = outcomes.filter((outcome) => !outcome.ok);
  const first = failed[0];
  if (first === undefined) return null;
  if (outcomes.length === 1) return first.error;
  const text = `${failed.length} of ${outcomes.length} machines were not ${act}:\n${failureLines(outcomes).join('\n')}`;
  const code = failed.length < outcomes.length ? 'partly' : 'failed';
  return new BeltError(code, text, { next: 'the same command again leaves alone what is done and tries the rest' });
}
