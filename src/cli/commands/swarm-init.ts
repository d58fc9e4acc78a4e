/** `belt swarm init NAME`: a swarm with one manager, to which others join. */
import { initSwarm } from '../../swarm/form.ts';
import { needBootstrapped } from '../../swarm/operations.ts';
import { BeltError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { name: 'one' },
  options: {},
  examples: ['belt swarm init mg0'],
  async run(ctx, args) {
    const done = await withHands(ctx, async (hands, { store }) => {
      const [machine] = await requireMachines(ctx, { ...ctx.cluster(), state: store.state }, [args.name]);
      const { voters } = await hands.swarm.survey();
      if (machine === undefined || (voters.length > 0 && !voters.some(({ name }) => name === args.name))) {
        throw new BeltError('refused', `the cluster has a swarm already, managed by ${voters.map(({ name }) => name).join(', ')}`, { next: `belt swarm join --manager ${voters[0]?.name ?? 'MANAGER'} ${args.name}` });
      }
      // Whoever leads by now: only the first manager can have an init to finish.
      if (voters.length > 1) return { already: true };
      return ctx.ui.progress('init', null, async (report) => {
        await needBootstrapped(hands, [machine], report);
        const { already } = await initSwarm(hands, machine, report);
        return { already: already || voters.length > 0 };
      });
    });
    ctx.ui.report({ name: args.name, already: done.already }, (ui) =>
      ui.line(`${args.name}: ${done.already ? 'This node is part of the swarm already, as a manager.' : 'This node made the swarm and manages it.'}`));
  },
});
