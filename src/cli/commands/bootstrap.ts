/** `belt bootstrap RANGE`: agent, certificates and what they stand on. A second run changes nothing and says so. */
import { compressNames } from '../../range/compress.ts';
import { bootstrapAll } from '../../swarm/operations.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: {
    'dry-run': { type: 'boolean', default: false, describe: 'say what would be done, and do nothing' },
    'accept-new-host-key': { type: 'boolean', default: false, describe: 'forget the pinned SSH host keys of these machines first' },
  },
  examples: ["belt bootstrap 'node[1:10]'", "belt bootstrap --dry-run 'mg[0:2]'"],
  async run(ctx, args) {
    const names = readRanges(ctx, args.ranges);
    const dryRun = args['dry-run'];
    const outcomes = await withHands(ctx, async (hands, { store }) => {
      const machines = await requireMachines(ctx, { ...ctx.cluster(), state: store.state }, names);
      if (args['accept-new-host-key'] && !dryRun) await store.change((state) => machines.forEach(({ name }) => delete state.hostKeys[name]));
      return ctx.ui.progress(dryRun ? 'looking' : 'bootstrap', machines.length, (report) => bootstrapAll(hands, machines, { dryRun }, report));
    });
    const document = outcomes.map((outcome) => ({
      name: outcome.name, ok: outcome.ok, changed: outcome.ok && !dryRun && outcome.value.planned.length > 0, steps: outcome.ok ? outcome.value.planned : [],
      notes: outcome.ok ? outcome.value.notes : [], certificateExpires: outcome.ok ? outcome.value.certificateExpires : null, error: outcome.ok ? null : outcome.error.toJSON(),
    }));
    ctx.ui.report(document, (ui) => {
      const does = (row: (typeof document)[number]): string => {
        const done = row.steps.map((step) => step.does).join(', ');
        return done === '' ? 'nothing to do' : dryRun ? `would ${done}` : `done: ${done}`;
      };
      // A line for all to whom the same was done: a hundred lines that differ in the name hide the one that differs.
      for (const [text, rows] of Map.groupBy(document.filter(({ ok }) => ok), does)) ui.line(`${compressNames(rows.map(({ name }) => name))}: ${text}`);
      for (const { name, notes } of document) for (const note of notes) ui.note(`${name}: ${note}`);
    });
    const error = outcomeError(outcomes, 'bootstrapped');
    if (error !== null) throw error;
  },
});
