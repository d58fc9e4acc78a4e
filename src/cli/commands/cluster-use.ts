/** `belt cluster use NAME`, `belt use NAME`: the cluster that lines without `--cluster` are about. */
import { viewCluster } from '../../inventory/cluster.ts';
import { readCurrent, writeCurrent } from '../../inventory/home.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  positionals: { name: 'one' },
  options: {},
  async run(ctx, args) {
    viewCluster(ctx.home, args.name);
    const current = readCurrent(ctx.home);
    if (current.cluster !== args.name) writeCurrent(ctx.home, { ...current, cluster: args.name });
    ctx.ui.report({ cluster: args.name }, (ui) => ui.line(`${args.name}: ${current.cluster === args.name ? 'is current already' : 'is current now'}`));
  },
});
