/** `belt certs rotate`: another CA in place of the present one, while the swarm goes on. Safe to repeat at any point. */
import { rotateAuthority } from '../rotate-authority.ts';
import { defineCommand } from '../command.ts';
import { parseDuration } from '../duration.ts';

export const command = defineCommand({
  positionals: {},
  options: { timeout: { type: 'string', default: '5m', requiresArg: true, describe: 'how long to wait for all nodes' } },
  examples: ['belt certs rotate'],
  async run(ctx, args) {
    const timeoutMs = parseDuration(args.timeout, 'timeout');
    const status = await ctx.ui.progress('rotating the CA', null, (report) => rotateAuthority(ctx, timeoutMs, report));
    ctx.ui.report(status, (ui) => {
      if (status.phase === 'none') ui.line('The CA is replaced; join tokens have changed with it. Machines that are no nodes get their certificates by the next bootstrap.');
      else ui.line(`The new CA signs; still to come: ${status.waiting.join(', ')}. They renew when they are back; run it again then.`);
    });
  },
});
