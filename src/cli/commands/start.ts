/** `belt start RANGE`: switches machines on. */
import { defineCommand } from '../command.ts';
import { powerMachines } from '../power.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { force: { type: 'boolean', default: false, describe: 'even if a quorum is lost' } },
  examples: ["belt start 'node[1:4]'"],
  async run(ctx, args) {
    await powerMachines(ctx, args.ranges, { action: 'start', guarded: 'start', doing: 'starting', did: 'started' }, args.force);
  },
});
