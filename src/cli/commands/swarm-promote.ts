/** `belt swarm promote RANGE`: workers become managers, one after another. */
import { runRoleChange } from '../role-change.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: {},
  examples: ["belt swarm promote 'mg[3:4]'"],
  run: (ctx, args) => runRoleChange(ctx, 'promote', args.ranges, false),
});
