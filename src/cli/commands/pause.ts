/** `belt pause RANGE`: freezes machines where the driver can; `--undo` lets them go on. */
import { BeltError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { powerMachines } from '../power.ts';
import { readRanges, requireMachines } from '../ranges.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: {
    undo: { type: 'boolean', default: false, describe: 'let paused machines go on' },
    force: { type: 'boolean', default: false, describe: 'even if a quorum is lost' },
  },
  async run(ctx, args) {
    const machines = await requireMachines(ctx, ctx.cluster(), readRanges(ctx, args.ranges, { refuseFiles: { force: true } }));
    for (const name of new Set(machines.map((machine) => machine.driver))) {
      const driver = await ctx.driver(name);
      if (!driver.abilities.pause) throw new BeltError('failed', `${name} cannot pause machines; nothing was done`, { next: 'belt stop RANGE' });
    }
    const verb = args.undo
      ? ({ action: 'unpause', guarded: null, doing: 'letting go on', did: 'goes on' } as const)
      : ({ action: 'pause', guarded: 'pause', doing: 'pausing', did: 'paused' } as const);
    await powerMachines(ctx, args.ranges, verb, args.force);
  },
});
