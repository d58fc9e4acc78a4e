/**
 * Which command a line is, and what of the line belt reads at all. Done before yargs sees anything, because what follows `docker`, `ssh NAME`
 * and `exec … --` belongs to somebody else, `--help`, `--host` and `-p` among it. Pure.
 */
import { BeltError } from '../errors.ts';
import { closest } from '../inventory/closest.ts';
import { GLOBAL_OPTIONS } from './command.ts';
import type { CommandEntry } from './commands.ts';

export interface SplitLine {
  /** Null: no command was named (`belt`, `belt --help`, `belt --version`). */
  readonly entry: CommandEntry | null;
  /** A group of commands was named without its second word (`belt cluster`). */
  readonly group: string | null;
  /** Belt's own words, the command's name left out. */
  readonly own: readonly string[];
  /** Untouched. */
  readonly rest: readonly string[];
}

/** Belt's own flags that take a word of their own, as they are typed. */
export function valuedFlags(): string[] {
  return Object.entries(GLOBAL_OPTIONS).flatMap(([name, option]) => (option.type === 'string' ? [`--${name}`, ...('alias' in option ? [`-${option.alias}`] : [])] : []));
}

const VALUED = new Set(valuedFlags());

/** Splits a command line. Throws `usage` for a command that does not exist. */
export function splitLine(argv: readonly string[], entries: readonly CommandEntry[]): SplitLine {
  const first = nextWord(argv, 0);
  if (first === null) return { entry: null, group: null, own: argv, rest: [] };
  const word = argv[first] ?? '';
  const before = argv.slice(0, first);
  const single = entries.find((entry) => entry.path === word);
  const group = entries.filter((entry) => entry.path.startsWith(`${word} `));
  const second = nextWord(argv, first + 1);
  // `snapshot` is a command, and `snapshot ls` another.
  if (single !== undefined && !group.some(({ path }) => second !== null && path === `${word} ${argv[second]}`)) return cut(single, before, argv.slice(first + 1));
  if (group.length === 0) throw unknownCommand(word, entries.map((entry) => entry.path));
  if (second === null) return { entry: null, group: word, own: [...before, ...argv.slice(first + 1)], rest: [] };
  const entry = group.find((candidate) => candidate.path === `${word} ${argv[second]}`);
  if (entry === undefined) throw unknownCommand(`${word} ${argv[second]}`, group.map((candidate) => candidate.path));
  return cut(entry, [...before, ...argv.slice(first + 1, second)], argv.slice(second + 1));
}

/** The index of the next word that is no flag and no flag's value, null when there is none. */
function nextWord(argv: readonly string[], from: number): number | null {
  for (let at = from; at < argv.length; at += 1) {
    const token = argv[at] ?? '';
    if (token === '--') return null;
    if (VALUED.has(token)) at += 1;
    else if (!token.startsWith('-') || token === '-') return at;
  }
  return null;
}

function cut(entry: CommandEntry, before: readonly string[], after: readonly string[]): SplitLine {
  const none = { entry, group: null };
  if (entry.rest === 'all') return { ...none, own: before, rest: after };
  if (entry.rest === 'after-name') {
    const name = nextWord(after, 0);
    const end = name === null ? after.length : name + 1;
    return { ...none, own: [...before, ...after.slice(0, end)], rest: after.slice(end) };
  }
  if (entry.rest === 'after-dashes') {
    const dashes = after.indexOf('--');
    if (dashes >= 0) return { ...none, own: [...before, ...after.slice(0, dashes)], rest: after.slice(dashes + 1) };
  }
  return { ...none, own: [...before, ...after], rest: [] };
}

function unknownCommand(typed: string, paths: readonly string[]): BeltError {
  const near = closest(typed, paths);
  const next = near === null ? 'belt --help' : `belt ${near}`;
  return new BeltError('usage', `there is no command '${typed}'${near === null ? '' : `; did you mean '${near}'?`}`, { next });
}
