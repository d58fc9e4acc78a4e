/** `belt snapshot rm RANGE@LABEL`: removes snapshots; one that is absent is "already gone". */
import type { Outcome } from '../../errors.ts';
import type { Snapshot } from '../../provision/snapshots.ts';
import { defineCommand } from '../command.ts';
import { reportOutcomes } from '../power.ts';
import { listSnapshots, snapshotNames } from '../snapshots.ts';

export const command = defineCommand({
  positionals: { snapshots: 'many' },
  options: {},
  examples: ["belt snapshot rm 'node[1:3]@before-upgrade'"],
  async run(ctx, args) {
    const names = snapshotNames(args.snapshots);
    const cluster = ctx.cluster();
    const found = (await listSnapshots(ctx, cluster)).filter(({ name }) => names.includes(name));
    const failures = new Map<string, Outcome>();
    if (found.length > 0) {
      await ctx.ui.confirm(`Remove ${found.length === 1 ? `snapshot ${found[0]?.name}` : `${found.length} snapshots`} of cluster ${cluster.name}?`);
      await ctx.ui.progress('removing', found.length, async () => {
        for (const [driver, group] of Map.groupBy(found, (snapshot: Snapshot) => snapshot.driver)) {
          for (const outcome of (await (await ctx.beside(driver, 'snapshots'))?.remove(cluster.tag, group, ctx.signal)) ?? []) if (!outcome.ok) failures.set(outcome.name, outcome);
        }
      });
    }
    const there = new Set(found.map(({ name }) => name));
    reportOutcomes(ctx, names.map((name) => failures.get(name) ?? { name, ok: true, value: undefined, note: there.has(name) ? 'removed' : 'already gone' }), 'removed');
  },
});
