/** `belt snapshot ls`: the snapshots of the cluster, those of machines that are gone among them. */
import { defineCommand } from '../command.ts';
import { listSnapshots } from '../snapshots.ts';

export const command = defineCommand({
  positionals: {},
  options: {},
  async run(ctx) {
    const snapshots = await ctx.ui.progress('listing', null, () => listSnapshots(ctx, ctx.cluster()));
    ctx.ui.report(snapshots, (ui) =>
      ui.table(
        [{ heading: 'NAME' }, { heading: 'DRIVER' }, { heading: 'REGIONS' }, { heading: 'GB', numeric: true }, { heading: 'CREATED' }, { heading: 'ID' }, { heading: 'STATUS' }],
        snapshots.map(({ name, driver, regions, sizeGb, createdAt, id, status }) => [name, driver, regions.join(','), sizeGb === null ? '' : String(sizeGb), createdAt?.slice(0, 16).replace('T', ' ') ?? '', id, status]),
      ));
  },
});
