/** `belt swarm restore FILE RANGE…`: no manager is left; the first machine named goes on from a backup, the others become managers beside it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { BeltError } from '../../errors.ts';
import type { Machine } from '../../provision/driver.ts';
import { compressNames } from '../../range/compress.ts';
import { decodeBackup } from '../../swarm/backup-file.ts';
import { planRestore, restoreSwarm } from '../../swarm/restore.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { file: 'one', ranges: 'many' },
  options: {},
  examples: ["belt swarm restore backup.json 'mg[5:7]'"],
  async run(ctx, args) {
    const names = readRanges(ctx, args.ranges);
    const backup = decodeBackup(read(path.resolve(ctx.ports.cwd, args.file), args.file), args.file);
    const restored = await withHands(ctx, async (hands, { store }) => {
      const managers = (await requireMachines(ctx, { ...ctx.cluster(), state: store.state }, names)) as [Machine, ...Machine[]];
      const byName = new Map(Object.entries(store.state.machines));
      const plan = await ctx.ui.progress('asking the machines', null, async () => {
        const [answers, survey] = [await hands.swarm.healths([...byName.keys()], 2000), await hands.swarm.census()];
        return planRestore({ backup, clusterId: store.state.cluster.id, managers, answers, survey });
      });
      await ctx.ui.confirm(`Go on from the backup of ${backup.takenAt} on ${plan.target.name}? What was changed since then is lost, and join tokens are made anew.`);
      return ctx.ui.progress('restore', plan.workers.length, (report) => restoreSwarm(hands, plan, backup, byName, report));
    });
    const shown = (outcomes: typeof restored.rejoined) => outcomes.map((outcome) => ({ name: outcome.name, ok: outcome.ok, error: outcome.ok ? null : outcome.error.toJSON() }));
    ctx.ui.report({ manager: restored.manager, already: restored.already, rejoined: shown(restored.rejoined), joined: shown(restored.joined), silent: restored.silent }, (ui) => {
      ui.line(restored.already ? `${restored.manager} has gone on from this backup already` : `${restored.manager} goes on from the backup of ${backup.takenAt}`);
      for (const outcome of restored.rejoined) if (outcome.ok) ui.line(`${outcome.name}: back as a ${outcome.value}`);
      for (const outcome of restored.joined) if (outcome.ok) ui.line(`${outcome.name}: ${outcome.value}`);
    });
    if (restored.silent.length > 0) ctx.ui.warn(`${compressNames(restored.silent)} did not answer: run it again when they are back, or belt swarm leave them`);
    const error = outcomeError([...restored.rejoined, ...restored.joined], 'brought back');
    if (error !== null) throw error;
  },
});

function read(file: string, named: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new BeltError('usage', `cannot read ${named}: ${(error as Error).message}`, { cause: error, next: 'belt swarm restore FILE RANGE' });
  }
}
