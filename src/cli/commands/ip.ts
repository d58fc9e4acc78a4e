/** `belt ip RANGE`: addresses, one a line, in the order of the names. */
import { BeltError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { currentFleet, readRanges, requireMachines } from '../ranges.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { private: { type: 'boolean', default: false, describe: 'the address on the private network' } },
  examples: ['belt ip node2'],
  async run(ctx, args) {
    const cluster = ctx.cluster();
    const names = readRanges(ctx, args.ranges);
    const addressOf = (machine: { publicIpv4: string | null; privateIpv4: string | null }): string | null => (args.private ? machine.privateIpv4 : (machine.publicIpv4 ?? machine.privateIpv4));
    let machines = await requireMachines(ctx, cluster, names);
    if (machines.some((machine) => addressOf(machine) === null)) {
      // It may have come since belt last looked.
      const fresh = new Map((await currentFleet(ctx, cluster)).machines.map((machine) => [machine.name, machine]));
      machines = machines.map((machine) => ({ ...machine, ...fresh.get(machine.name), tags: machine.tags }));
    }
    const rows = machines.map((machine) => ({ name: machine.name, publicIpv4: machine.publicIpv4, privateIpv4: machine.privateIpv4 }));
    ctx.ui.report(rows, (ui) => rows.forEach((row) => ui.line(addressOf(row) ?? '-')));
    const without = rows.filter((row) => addressOf(row) === null);
    if (without.length > 0) throw new BeltError(without.length < rows.length ? 'partly' : 'failed', `${without[0]?.name}${without.length > 1 ? ` and ${without.length - 1} more` : ''}: no ${args.private ? 'private ' : ''}address yet`, { next: 'belt status --wait active=N' });
  },
});
