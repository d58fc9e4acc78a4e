/** `belt swarm form M/D RANGE`: the managers of a topology, by the datacenters their machines stand in. */
import { formSwarm, planForm } from '../../swarm/form.ts';
import { drainManagers, drainsManagers, hasEngines, judgeManagers } from '../../swarm/scale.ts';
import { describePlacement } from '../../topology/explain.ts';
import { parseTopology } from '../../topology/parse.ts';
import { compressNames } from '../../range/compress.ts';
import { defineCommand } from '../command.ts';
import { reportJoined, tellDrained } from '../joined-lines.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { topology: 'one', ranges: 'many' },
  options: { drain: { type: 'boolean', describe: 'managers run no containers; by itself above 100 workers, --no-drain prevents it' } },
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
      const formed = await ctx.ui.progress('form', plan.managers.length, (report) => formSwarm(hands, plan, report));
      // The cluster's other machines are the workers to be; when it grows later, join sees to it.
      const all = Object.keys(store.state.machines).length;
      const workers = plan.begun || !hasEngines(hands, plan.managers) ? 0 : all - plan.managers.length;
      if (drainsManagers(args.drain, 0, workers)) tellDrained(ctx, await drainManagers(hands.swarm));
      for (const warning of await judgeManagers(hands.swarm, all, ctx.signal)) ctx.ui.warn(warning);
      return formed;
    });
    reportJoined(ctx, outcomes, 'made managers');
  },
});
