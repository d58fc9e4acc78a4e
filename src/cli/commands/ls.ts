/** `belt ls`: the machines as the clouds list them now. */
import { EXIT } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { MACHINE_COLUMNS, machineDocument, machineRow } from '../machine-table.ts';
import { currentFleet, readRanges } from '../ranges.ts';
import { noCluster, unknownMachines } from '../unknown-machines.ts';

export const command = defineCommand({
  positionals: { ranges: 'any' },
  options: {},
  async run(ctx, args) {
    const cluster = ctx.cluster();
    const names = args.ranges.length === 0 ? null : readRanges(ctx, args.ranges);
    const fleet = await ctx.ui.progress('listing', null, () => currentFleet(ctx, cluster));
    if (names !== null) unknownMachines(cluster, names, fleet.machines);
    const shown = names === null ? fleet.machines : fleet.machines.filter((machine) => names.includes(machine.name));
    ctx.ui.report(shown.map(machineDocument), (ui) => ui.table(MACHINE_COLUMNS, shown.map(machineRow)));
    if (!cluster.exists) ctx.ui.note(noCluster(cluster).message);
    if (fleet.missing.length > 0) ctx.ui.warn(`${fleet.missing.length} machines are not on their cloud's list (status unknown): belt doctor`);
    if (fleet.doubles.length > 0) ctx.ui.warn(`${fleet.doubles.length} machines share a name with another: belt doctor`);
    return fleet.down.length > 0 && fleet.machines.length === 0 ? EXIT.failed : EXIT.done;
  },
});
