/** `belt active [NAME]`: the machine that docker lines go to; prints `cluster/node`. */
import { BeltError } from '../../errors.ts';
import { readCurrent, writeCurrent } from '../../inventory/home.ts';
import { defineCommand } from '../command.ts';
import { readRanges, requireMachines } from '../ranges.ts';

export const command = defineCommand({
  positionals: { name: 'optional' },
  options: {},
  examples: ['belt active node1'],
  async run(ctx, args) {
    const cluster = ctx.cluster();
    const current = readCurrent(ctx.home);
    if (args.name !== undefined) {
      const names = readRanges(ctx, [args.name]);
      if (names.length !== 1) throw new BeltError('usage', `'${args.name}' names ${names.length} machines; one is active at a time`, { next: 'belt active NAME' });
      await requireMachines(ctx, cluster, names);
      writeCurrent(ctx.home, { ...current, active: { ...current.active, [cluster.name]: args.name } });
    }
    const active = args.name ?? current.active[cluster.name];
    if (active === undefined) throw new BeltError('failed', `no machine of cluster ${cluster.name} is active`, { next: 'belt active NAME' });
    ctx.ui.report({ cluster: cluster.name, node: active }, (ui) => ui.line(`${cluster.name}/${active}`));
  },
});
