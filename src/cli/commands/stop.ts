/** `belt stop RANGE`: a clean shutdown. */
import { defineCommand } from '../command.ts';
import { powerMachines } from '../power.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { force: { type: 'boolean', default: false, describe: 'even if a quorum is lost' } },
  examples: ["belt stop 'node[1:4]'"],
  async run(ctx, args) {
    await powerMachines(ctx, args.ranges, { action: 'stop', guarded: 'stop', doing: 'stopping', did: 'stopped' }, args.force);
  },
});
