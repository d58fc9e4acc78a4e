/** `belt swarm label NODE key=value… key-…`: sets and removes labels of a node. */
import { parseLabels } from '../../swarm/roles.ts';
import { defineCommand } from '../command.ts';
import { withSwarm } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { node: 'one', labels: 'many' },
  options: {},
  examples: ['belt swarm label node1 disk=ssd rack-'],
  async run(ctx, args) {
    const { set, unset } = parseLabels(args.labels);
    const { changed } = await withSwarm(ctx, ctx.cluster(), (swarm) => swarm.cluster('nodes.label', { node: args.node, set, unset }));
    const said = [...Object.entries(set).map(([key, value]) => `${key}=${value}`), ...unset.map((key) => `no ${key}`)].join(', ');
    ctx.ui.report({ name: args.node, changed, set, unset }, (ui) => ui.line(`${args.node}: ${said}${changed ? '' : ' already'}`));
  },
});
