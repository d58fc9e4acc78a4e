/** `belt topology SPEC`: what a topology is and survives, before anything is built. */
import { parseTopology, formatTopology } from '../../topology/parse.ts';
import { explainTopology } from '../../topology/explain.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  positionals: { spec: 'one' },
  options: { datacenters: { type: 'string', requiresArg: true, describe: 'their names, a,b,c' } },
  examples: ['belt topology 5/3', 'belt topology 2+2+1 --datacenters sgp1,nyc3,fra1'],
  async run(ctx, args) {
    const topology = parseTopology(args.spec);
    const explained = explainTopology(topology, args.datacenters?.split(',').map((name) => name.trim()));
    ctx.ui.report(explained, (ui) => {
      const { managers, quorum, tolerates } = explained;
      ui.line(`${formatTopology(topology)}: ${managers} ${managers === 1 ? 'manager' : 'managers'}, quorum ${quorum}`);
      ui.table([{ heading: 'DATACENTER' }, { heading: 'MANAGERS', numeric: true }], explained.placement.map((placed) => [placed.datacenter, String(placed.managers)]));
      ui.line(`survives the loss of any ${tolerates.nodes} ${tolerates.nodes === 1 ? 'manager' : 'managers'}`);
      ui.line(`survives the loss of one datacenter: ${tolerates.datacenters.join(', ') || 'none'}`);
      if (tolerates.datacenterPairs.length > 0) ui.line(`survives the loss of both: ${tolerates.datacenterPairs.map((pair) => pair.join(' and ')).join('; ')}`);
      for (const warning of explained.warnings) ui.warn(warning);
    });
  },
});
