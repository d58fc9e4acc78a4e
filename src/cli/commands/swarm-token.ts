/** `belt swarm token worker|manager`: the join token, on stdout and nothing else there. */
import { BeltError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { withSwarm } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { role: 'one' },
  options: { rotate: { type: 'boolean', default: false, describe: 'replace it: the old one lets nobody in any more' } },
  examples: ['belt swarm token worker', 'belt swarm token --rotate manager'],
  async run(ctx, args) {
    const role = (['worker', 'manager'] as const).find((one) => one === args.role);
    if (role === undefined) throw new BeltError('usage', `'${args.role}' is no role`, { next: 'belt swarm token worker|manager' });
    const { token } = await withSwarm(ctx, ctx.cluster(), (swarm) => swarm.cluster(args.rotate ? 'token.rotate' : 'token.show', { role }));
    ctx.ui.report({ role, token, rotated: args.rotate }, (ui) => ui.line(token));
  },
});
