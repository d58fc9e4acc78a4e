/** `belt sizes [SIZE]`: the types on offer, and what a size such as 512mb comes out as. */
import { BeltError } from '../../errors.ts';
import { resolveSize } from '../../provision/sizes.ts';
import { defineCommand } from '../command.ts';
import { pricesOf, unknownPrice } from '../show-plan.ts';

/** The sizes of the design's vocabulary. */
const COMMON = ['512mb', '1gb', '2gb', '4gb', '8gb', '16gb', '32gb', '64gb', '128gb'];

export const command = defineCommand({
  positionals: { size: 'optional' },
  options: {
    region: { type: 'string', requiresArg: true, describe: 'only what is on offer in these regions' },
    spot: { type: 'boolean', default: false, describe: 'what interruptible machines cost now, where the cloud tells' },
  },
  examples: ['belt sizes 8192MB', 'belt -d ec2 sizes --spot --region eu-west-1'],
  async run(ctx, args) {
    const driver = await ctx.driver();
    const types = await driver.types(ctx.signal);
    const regions = args.region?.split(',') ?? [];
    const sizes = args.size === undefined ? COMMON : [args.size];
    const resolved = sizes.flatMap((size) => {
      try {
        const resolved = resolveSize(types, size, regions);
        if (resolved.memoryMb === null) throw new BeltError('config', `${driver.name} offers no size "${size}"`, { next: 'belt sizes, or memory such as 512mb or 8gb' });
        return [{ size, driver: driver.name, ...resolved }];
      } catch (error) {
        // Of the usual sizes those are left out that the cloud is too small for; an asked one is an answer.
        if (args.size !== undefined) throw error;
        return [];
      }
    });
    const places = regions.length > 0 ? regions : [String((await ctx.driverOptions(driver.name, await ctx.settings()))['region'] ?? '')];
    const priceOf = await pricesOf(ctx, driver.name, args.spot, resolved, places);
    const rows = resolved.map((row) => ({ ...row, pricePerHour: places.map((place) => priceOf(row, place)).reduce((a, b) => (a === null || b === null ? null : Math.max(a, b))) }));
    ctx.ui.report(rows, (ui) =>
      ui.table(
        [{ heading: 'SIZE' }, { heading: 'DRIVER' }, { heading: 'TYPE' }, { heading: 'MEMORY', numeric: true }, { heading: 'PRICE/H', numeric: true }],
        rows.map((row) => [row.size, row.driver, row.type, row.memoryMb === null ? '' : String(row.memoryMb), row.pricePerHour === null ? unknownPrice(row.driver) : row.pricePerHour.toFixed(4)]),
      ));
  },
});
