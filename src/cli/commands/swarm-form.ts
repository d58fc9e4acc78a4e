/** `belt swarm form M/D RANGE`: the managers of a topology, by the datacenters their machines stand in. */
import { formSwarm, planForm } from '../../swarm/form.ts';
import { describePlacement } from '../../topology/explain.ts';
import { parseTopology } from '../../topology/parse.ts';
import { compressNames } from '../../range/compress.ts';
import { defineCommand } from '../command.ts';
import { reportJoined } from '../joined-lines.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { topology: 'one', ranges: 'many' },
  options: { drain: { type: 'boolean', default: false, describe: 'managers run no containers' } },
  examples: ["belt swarm form 5/3 'mg[0:4]'", "belt swarm form 2+2+1 'mg[0:4]'"],
  async run(ctx, args) {
    const topology = parseTopology(args.topology);
    const names = readRanges(ctx, args.ranges);
    const outcomes = await withHands(ctx, async (hands, { store }) => {
      const machines = await requireMachines(ctx, { ...ctx.cluster(), state: store.state }, names);
      const plan = planForm(topology, machines, await hands.swarm.survey());
      for (const warning of plan.warnings) ctx.ui.warn(warning);
      if (plan.left.length > 0) ctx.ui.note(`not needed: ${compressNames(plan.left.map(({ name }) => name))}`);
      const placement = [...Map.groupBy(plan.managers, ({ datacenter }) => datacenter)].map(([datacenter, group]) => ({ datacenter, managers: group.length }));
      ctx.ui.note(`${describePlacement(placement)}: ${placement.map(({ datacenter, managers }) => `${managers} in ${datacenter}`).join(', ')}`);
      return ctx.ui.progress('form', plan.managers.length, async (report) => {
        const formed = await formSwarm(hands, plan, report);
        if (args.drain) for (const { name } of formed.filter(({ ok }) => ok)) await hands.swarm.cluster('nodes.availability', { node: name, availability: 'drain' });
        return formed;
      });
    });
    reportJoined(ctx, outcomes, 'made managers');
  },
});
