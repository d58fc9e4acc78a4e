/** `belt swarm demote RANGE`: managers become workers, one after another. */
import { runRoleChange } from '../role-change.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { force: { type: 'boolean', default: false, describe: 'even if a quorum is lost' } },
  examples: ["belt swarm demote 'mg[3:4]'"],
  run: (ctx, args) => runRoleChange(ctx, 'demote', args.ranges, args.force),
});
