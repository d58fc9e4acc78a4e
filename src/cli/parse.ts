/** Belt's own words of a line → the arguments of its command; every way to get it wrong ends in one `usage` error that says how it is written. */
import type { Options } from 'yargs';

import { BeltError } from '../errors.ts';
import { closest } from '../inventory/closest.ts';
import { type Command, type CommandArgs, GLOBAL_OPTIONS, type GlobalFlags, type OptionSpecs, type Positional, type PositionalSpecs } from './command.ts';
import type { CommandEntry } from './commands.ts';

export interface ParsedLine {
  readonly flags: GlobalFlags;
  readonly args: CommandArgs<PositionalSpecs, OptionSpecs>;
  readonly help: boolean;
}

async function configured(entry: CommandEntry, command: Command) {
  const { default: yargs } = await import('yargs');
  return yargs([])
    .scriptName('belt')
    .usage(`belt ${entry.path} ${entry.synopsis}\n\n${entry.summary}`.trim())
    .options({ ...command.options } as never)
    .options(GLOBAL_OPTIONS)
    .group(Object.keys(command.options), 'Options:')
    .group(Object.keys(GLOBAL_OPTIONS), 'Everywhere:')
    .parserConfiguration({
      'parse-numbers': false, 'parse-positional-numbers': false, 'dot-notation': false, 'duplicate-arguments-array': true,
      'greedy-arrays': false, 'camel-case-expansion': true, 'strip-aliased': true, 'boolean-negation': true,
    })
    .epilogue((command.examples ?? []).join('\n'))
    .version(false)
    .detectLocale(false)
    .help(false)
    .exitProcess(false)
    .showHelpOnFail(false)
    .wrap(100);
}

/** The help of one command. */
export async function commandHelp(entry: CommandEntry, command: Command): Promise<string> {
  return (await configured(entry, command)).getHelp();
}

/** Reads the words. Throws `usage`. */
export async function parseLine(entry: CommandEntry, command: Command, own: readonly string[], rest: readonly string[]): Promise<ParsedLine> {
  const usage = (message: string): BeltError => new BeltError('usage', message, { next: `belt ${entry.path} ${entry.synopsis}`.trim() });
  if (own.includes('--help') || own.includes('-h')) {
    return { help: true, flags: {} as GlobalFlags, args: { rest: [] } as never };
  }
  const known = [...Object.keys(command.options), ...Object.keys(GLOBAL_OPTIONS)];
  // Words alone need no parser, which would be an eighth of the start of `belt ls`.
  const parsed = own.some((word) => word.startsWith('-')) ? await readFlags(entry, command, own, usage) : { ...defaults(command), _: own };
  checkOptions(parsed, command, known, usage);
  if (parsed['host'] !== undefined && entry.path !== 'docker') throw usage('--host is for docker lines: belt --host RANGE docker …');
  const args = { ...parsed, ...assign(entry, command.positionals, parsed._.map(String), usage), rest };
  return { help: false, flags: parsed as unknown as GlobalFlags, args: args as never };
}

interface Words extends Record<string, unknown> {
  readonly _: readonly (string | number)[];
}

/** By yargs. */
async function readFlags(entry: CommandEntry, command: Command, own: readonly string[], usage: (message: string) => BeltError): Promise<Words> {
  refuseValues(own, { ...command.options, ...GLOBAL_OPTIONS }, usage);
  const parser = (await configured(entry, command)).fail((message, error) => {
    const flag = /^Not enough arguments following: (\S+)/.exec(message ?? '')?.[1];
    const [, option, given, choices] = /Argument: (\S+), Given: "(.*)", Choices: (.*)$/m.exec(message ?? '') ?? [];
    if (option !== undefined) throw usage(`--${option} ${given}: must be one of ${choices?.replaceAll('"', '')}`);
    throw error instanceof BeltError ? error : usage(flag === undefined ? message : `${flag.length === 1 ? '-' : '--'}${flag} wants a value`);
  });
  return parser.parseSync([...own]) as unknown as Words;
}

/** What yargs makes of a line without a flag. */
function defaults(command: Command): Record<string, unknown> {
  const given = Object.entries<Options>({ ...command.options, ...GLOBAL_OPTIONS }).filter(([, { default: value }]) => value !== undefined);
  return Object.fromEntries(given.flatMap(([name, { default: value }]) => [[name, value], [camel(name), value]]));
}

/** A switch with a value (`--json=maybe`) is a mistake that yargs reads as false. */
function refuseValues(own: readonly string[], specs: OptionSpecs, usage: (message: string) => BeltError): void {
  for (const word of own) {
    const name = /^--([^=]+)=/.exec(word)?.[1];
    if (name !== undefined && specs[name]?.type === 'boolean') throw usage(`--${name} takes no value`);
  }
}

/** What yargs lets pass: flags that do not exist, and flags given twice or empty where one value is meant. */
function checkOptions(parsed: Record<string, unknown>, command: Command, known: readonly string[], usage: (message: string) => BeltError): void {
  const specs: OptionSpecs = { ...command.options, ...GLOBAL_OPTIONS };
  const spelled = new Set(known.flatMap((name) => [name, camel(name), ...[specs[name]?.alias ?? []].flat()]));
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '_' || name === '$0') continue;
    if (!spelled.has(name)) {
      const dashes = name.length === 1 ? '-' : '--';
      const near = closest(name, known);
      throw usage(`there is no flag '${dashes}${name}'${near === null ? '' : `; did you mean '--${near}'?`}`);
    }
    const spec = specs[name];
    if (spec === undefined) continue;
    if (Array.isArray(value) && spec.type !== 'array' && spec.array !== true) throw usage(`--${name} is given more than once`);
    if (spec.type === 'string' && value === '') throw usage(`--${name} wants a value`);
    if (spec.type === 'number' && typeof value === 'number' && !Number.isFinite(value)) throw usage(`--${name} wants a number`);
  }
}

function camel(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Words to positionals, in order. What is missing is called as the synopsis calls it. */
function assign(entry: CommandEntry, specs: PositionalSpecs, words: readonly string[], usage: (message: string) => BeltError): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const called = entry.synopsis.split(' ').map((word) => word.replace(/[[\]…]/g, ''));
  let at = 0;
  for (const [index, [name, kind]] of Object.entries(specs).entries()) {
    if (takesList(kind)) {
      values[name] = words.slice(at);
      if (kind === 'many' && at >= words.length) throw usage(`${called[index]} is missing`);
      at = words.length;
    } else {
      if (kind === 'one' && words[at] === undefined) throw usage(`${called[index]} is missing`);
      if (words[at] === '') throw usage(`${called[index]} is empty`);
      values[name] = words[at];
      at += 1;
    }
  }
  const extra = words[at];
  if (extra !== undefined) throw usage(`'${extra}' is one word too many for belt ${entry.path}`);
  return values;
}

function takesList(kind: Positional): boolean {
  return kind === 'many' || kind === 'any';
}
