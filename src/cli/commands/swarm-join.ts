/** `belt swarm join MANAGER RANGE`: many machines at once; what lacks an agent gets one first. */
import { BeltError } from '../../errors.ts';
import { joinMachines } from '../../swarm/join.ts';
import { agentAddress } from '../../swarm/form.ts';
import { drainManagers, drainsManagers, hasEngines, judgeManagers } from '../../swarm/scale.ts';
import { noSwarm } from '../../swarm/swarm.ts';
import { defineCommand } from '../command.ts';
import { reportJoined, tellDrained } from '../joined-lines.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { node: 'one', ranges: 'many' },
  options: {
    manager: { type: 'boolean', default: false, describe: 'as managers instead of workers' },
    drain: { type: 'boolean', describe: 'managers run no containers; by itself when there are more than 100 workers, --no-drain prevents it' },
  },
  examples: ["belt swarm join mg0 'node[1:100]'", "belt swarm join --manager mg0 'mg[1:2]'"],
  async run(ctx, args) {
    const names = readRanges(ctx, args.ranges);
    const role = args.manager ? 'manager' : 'worker';
    const outcomes = await withHands(ctx, async (hands, { store }) => {
      const [by, ...machines] = await requireMachines(ctx, { ...ctx.cluster(), state: store.state }, [args.node, ...names.filter((name) => name !== args.node)]);
      if (by === undefined || names.includes(args.node)) throw new BeltError('usage', `${args.node} cannot join itself`, { next: "belt swarm join mg0 'node[1:3]'" });
      const survey = await hands.swarm.survey();
      if (survey.voters.length === 0) throw noSwarm();
      if (!survey.voters.some(({ name }) => name === by.name)) {
        throw new BeltError('refused', `${by.name} is no manager of the swarm`, { machine: by.name, next: `name one of ${survey.voters.map(({ name }) => name).sort().join(', ')}` });
      }
      const { token } = await hands.swarm.cluster('token.show', { role });
      const others = survey.voters.filter(({ name }) => name !== by.name && survey.reachable.includes(name)).map(({ address }) => address);
      const managers = survey.reachable.includes(by.name) ? [agentAddress(by), ...others] : [...others, agentAddress(by)];
      const { workers } = await hands.swarm.cluster('cluster.status', {});
      const coming = args.manager || !hasEngines(hands, machines) ? 0 : machines.length;
      if (drainsManagers(args.drain, workers.total, workers.total + coming)) tellDrained(ctx, await drainManagers(hands.swarm));
      for (const warning of await judgeManagers(hands.swarm, survey.voters.length + workers.total + machines.length, ctx.signal)) ctx.ui.warn(warning);
      return ctx.ui.progress('join', machines.length, (report) => joinMachines(hands, { machines, role, managers, token }, report));
    });
    reportJoined(ctx, outcomes, 'joined');
  },
});
