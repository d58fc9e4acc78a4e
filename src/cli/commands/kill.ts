/** `belt kill RANGE`: a power cut. */
import { defineCommand } from '../command.ts';
import { powerMachines } from '../power.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { force: { type: 'boolean', default: false, describe: 'even if a quorum is lost' } },
  examples: ["belt kill 'node[1:4]'"],
  async run(ctx, args) {
    await powerMachines(ctx, args.ranges, { action: 'kill', guarded: 'kill', doing: 'killing', did: 'killed' }, args.force);
  },
});
