/** `belt exec RANGE -- COMMAND`: a command on many machines at once, output by machine. */
import { BeltError, type Outcome } from '../../errors.ts';
import { runAll } from '../../provision/run-all.ts';
import { readLines } from '../../ssh/lines.ts';
import { quoteCommand } from '../../ssh/quote.ts';
import { failureLines } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { combinedExit, exitCodeOf } from '../remote-exit.ts';
import { RemoteAccess } from '../remote.ts';
import type { SshConnection } from '../../ssh/client.ts';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { concurrency: { type: 'number', default: 50, describe: 'machines worked on at once', requiresArg: true } },
  examples: ["belt exec 'node[1:4]' -- uptime", "belt exec 'node[1:4]' -- 'df -h / | tail -1'"],
  async run(ctx, args) {
    if (args.rest.length === 0) throw new BeltError('usage', 'COMMAND is missing', { next: "belt exec 'node[1:4]' -- COMMAND" });
    if (!Number.isInteger(args.concurrency) || args.concurrency < 1 || args.concurrency > 1000) throw new BeltError('usage', `--concurrency ${args.concurrency} is not 1 to 1000`, { next: 'leave it out for 50' });
    const names = readRanges(ctx, args.ranges);
    const cluster = ctx.cluster();
    const machines = await requireMachines(ctx, cluster, names);
    const access = new RemoteAccess(ctx, cluster);
    // One word is a line for the shell over there; several are one command with its arguments kept apart.
    const line = args.rest.length === 1 ? (args.rest[0] ?? '') : quoteCommand(args.rest);
    const width = Math.max(...names.map((name) => name.length));
    const outcomes = await runAll(machines, async (machine, signal): Promise<Ran> => {
      await using connection = await access.connect(machine, signal);
      return await runOne(ctx, connection, line, machines.length === 1 ? '' : `${machine.name.padEnd(width)}  `, signal);
    }, { limit: args.concurrency, signal: ctx.signal, nameOf: (machine) => machine.name });
    await access.pinNewKeys();
    ctx.signal.throwIfAborted();
    return finish(ctx, outcomes);
  },
});

/** Runs the line; prints each line of output as it comes, or keeps it all for `--json`. */
async function runOne(ctx: Context, connection: SshConnection, line: string, prefix: string, signal: AbortSignal): Promise<Ran> {
  if (ctx.ui.json) {
    const { stdout, stderr, ...status } = await connection.exec(line, { signal });
    return { code: exitCodeOf(status), stdout, stderr };
  }
  const stream = await connection.stream(line, { signal });
  stream.stdin.end();
  const pass = async (from: typeof stream.stdout, to: 'stdout' | 'stderr'): Promise<void> => {
    for await (const text of readLines(from)) ctx.ui.raw(to, `${prefix}${text}\n`);
  };
  const [status] = await Promise.all([stream.exit, pass(stream.stdout, 'stdout'), pass(stream.stderr, 'stderr')]);
  return { code: exitCodeOf(status), stdout: '', stderr: '' };
}

function finish(ctx: Context, outcomes: readonly Outcome<Ran>[]): number {
  const document = outcomes.map((outcome) =>
    outcome.ok
      ? { name: outcome.name, exitCode: outcome.value.code, stdout: outcome.value.stdout, stderr: outcome.value.stderr, error: null }
      : { name: outcome.name, exitCode: null, stdout: null, stderr: null, error: outcome.error.toJSON() });
  ctx.ui.report(document, () => undefined);
  const failed = outcomes.filter((outcome) => !outcome.ok);
  if (outcomes.length === 1 && failed[0] !== undefined) ctx.ui.error(failed[0].error);
  else if (failed.length > 0) ctx.ui.note([`belt: ${failed.length} of ${outcomes.length} machines were not reached:`, ...failureLines(outcomes)].join('\n'));
  if (outcomes.length > 1) {
    const unhappy = outcomes.filter((outcome) => outcome.ok && outcome.value.code !== 0);
    for (const outcome of unhappy.slice(0, 50)) if (outcome.ok) ctx.ui.note(`  ${outcome.name}: exit ${outcome.value.code}`);
  }
  return combinedExit(outcomes.map((outcome) => (outcome.ok ? outcome.value.code : null)));
}
