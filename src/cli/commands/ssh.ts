/** `belt ssh NAME [COMMAND…]`: a login shell, or a command, on one machine; exits as the other side does. */
import { BeltError } from '../../errors.ts';
import { runOnTerminal } from '../../ssh/terminal.ts';
import { defineCommand } from '../command.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { exitCodeOf, UNREACHABLE } from '../remote-exit.ts';
import { RemoteAccess } from '../remote.ts';

export const command = defineCommand({
  positionals: { name: 'one' },
  options: {},
  examples: ['belt ssh node1', 'belt ssh node1 uptime'],
  async run(ctx, args) {
    const names = readRanges(ctx, [args.name]);
    if (names.length !== 1) throw new BeltError('usage', `'${args.name}' names ${names.length} machines; ssh goes to one`, { next: `belt exec '${args.name}' -- COMMAND` });
    const cluster = ctx.cluster();
    const [machine] = await requireMachines(ctx, cluster, names);
    if (machine === undefined) throw new BeltError('unknown_machine', `there is no machine ${args.name}`);
    const access = new RemoteAccess(ctx, cluster);
    try {
      await using connection = await access.connect(machine, ctx.signal);
      await access.pinNewKeys();
      // As `ssh host words…` does: the words joined, read by the shell over there.
      const line = args.rest.length === 0 ? null : args.rest.join(' ');
      const streams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };
      return exitCodeOf(await runOnTerminal(connection, line, streams, { pty: line === null, term: ctx.ports.env['TERM'], signal: ctx.signal }));
    } catch (error) {
      ctx.signal.throwIfAborted();
      ctx.ui.error(error);
      return UNREACHABLE;
    }
  },
});
