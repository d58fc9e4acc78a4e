/** What a command is: what it takes, and what it does with a context. One file a command; `commands.ts` lists them all. */
import type { InferredOptionTypes, Options } from 'yargs';

import type { ExitCode } from '../errors.ts';
import type { Context } from './context.ts';

/** How many words a positional takes: exactly one, one or none, one or more, any number. `optional`, `many` and `any` stand last. */
export type Positional = 'one' | 'optional' | 'many' | 'any';
type PositionalValue<P extends Positional> = P extends 'one' ? string : P extends 'optional' ? string | undefined : string[];

export type PositionalSpecs = Readonly<Record<string, Positional>>;
export type OptionSpecs = Readonly<Record<string, Options>>;

/** What `run` is given: the positionals and options by name, and the words that belt does not read (after `docker`, `ssh NAME`, `exec … --`). */
export type CommandArgs<P extends PositionalSpecs, O extends OptionSpecs> = { readonly [K in keyof P]: PositionalValue<P[K]> } &
  Readonly<InferredOptionTypes<{ [K in keyof O]: O[K] }>> & { readonly rest: readonly string[] };

export interface Command<P extends PositionalSpecs = PositionalSpecs, O extends OptionSpecs = OptionSpecs> {
  /** In the order in which they are typed; shown in capitals in the help (`ranges` as RANGE…). */
  readonly positionals: P;
  /** yargs' own option descriptions, each with a `describe`. Global flags (see `GLOBAL_OPTIONS`) are there already. */
  readonly options: O;
  /** Lines for the help: `belt …` and nothing else. */
  readonly examples?: readonly string[];
  /** Nothing returned is exit 0. A failure is thrown as `BeltError`; `partly` is one too (`outcomeError` of src/ui makes it). */
  run(ctx: Context, args: CommandArgs<P, O>): Promise<ExitCode | number | void>;
}

/** A command with the types of its arguments inferred; what each module of src/cli/commands exports as `command`. */
export function defineCommand<const P extends PositionalSpecs, const O extends OptionSpecs>(command: Command<P, O>): Command {
  return command as unknown as Command;
}

/** The flags every command takes. */
export const GLOBAL_OPTIONS = {
  cluster: { type: 'string', describe: 'the cluster to work on instead of the current one', requiresArg: true },
  driver: { type: 'string', alias: 'd', describe: 'the driver to use instead of the configured one', requiresArg: true },
  host: { type: 'string', describe: 'the machines a docker line goes to instead of the active one', requiresArg: true },
  json: { type: 'boolean', default: false, describe: 'one JSON document on stdout' },
  yes: { type: 'boolean', alias: 'y', default: false, describe: 'answer yes to the question' },
  debug: { type: 'boolean', default: false, describe: 'causes and stack traces of errors' },
} as const satisfies OptionSpecs;
export type GlobalFlags = InferredOptionTypes<typeof GLOBAL_OPTIONS>;
