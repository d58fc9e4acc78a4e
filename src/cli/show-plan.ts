/** What a `create` would do and cost, as `--dry-run` shows it. */
import { DRIVERS } from '../../drivers/registry.ts';
import { EXIT } from '../errors.ts';
import type { CreatePlan } from '../provision/create-plan.ts';
import type { OrderedMachine } from '../provision/driver.ts';
import type { Estimate } from '../provision/rate-limit.ts';
import type { ResolvedSize } from '../provision/sizes.ts';
import { compressNames } from '../range/compress.ts';
import type { Context } from './context.ts';

/** Below this nobody plans a coffee by it, milliseconds. */
const WORTH_SAYING_MS = 5_000;

/** What the machines cost at the limits of `driver`, whose `options` are in force; null where it has no limits. */
export async function estimateOf(driver: string, options: Record<string, unknown>, machines: readonly OrderedMachine[]): Promise<Estimate | null> {
  const estimate = DRIVERS[driver]?.estimate;
  return estimate === undefined || machines.length === 0 ? null : estimate(options as never, machines);
}

/** `at least 2 min 5 s at the cloud's limits`; null where that is no time. */
export function leastTime(estimate: Estimate | null): string | null {
  if (estimate === null || estimate.leastMs < WORTH_SAYING_MS) return null;
  const seconds = Math.ceil(estimate.leastMs / 1000);
  return `at least ${seconds < 60 ? '' : `${Math.floor(seconds / 60)} min `}${seconds % 60} s at the cloud's limits`;
}

/** What a machine of a size costs an hour in a region, as the cloud tells it now; null where it does not. */
export type PriceOf = (size: ResolvedSize, region: string) => number | null;

/** Prices of the sizes, with one call a region for interruptible ones. What cannot be asked is not known, and holds up nothing. */
export async function pricesOf(ctx: Context, driver: string, spot: boolean, sizes: readonly ResolvedSize[], regions: readonly string[]): Promise<PriceOf> {
  const ask = spot ? await ctx.beside(driver, 'spotPrices') : null;
  if (ask === null) return ({ pricePerHour }) => pricePerHour;
  const prices = await ask([...new Set(sizes.map(({ type }) => type))], [...new Set(regions)], ctx.signal);
  return ({ type }, region) => prices.get(`${region}/${type}`) ?? null;
}

/** How a missing price is written: machines that no cloud bills for have none. */
export function unknownPrice(driver: string): string {
  return DRIVERS[driver]?.estimate === undefined ? '' : 'unknown';
}

export function showPlan(ctx: Context, plan: CreatePlan, size: ResolvedSize, estimate: Estimate | null, priceOf: PriceOf): number {
  const rows = plan.orders.flatMap((order) =>
    [...Map.groupBy(order.machines, (machine) => `${machine.region}${machine.zone === null ? '' : `/${machine.zone}`}`)].map(([region, machines]) => {
      const price = priceOf(size, machines[0]?.region ?? '');
      return { order: order.id, resumed: order.resumed, driver: order.driver, type: order.type, region, names: machines.map((machine) => machine.name), pricePerHour: price === null ? null : price * machines.length };
    }));
  const count = rows.reduce((sum, row) => sum + row.names.length, 0);
  const pricePerHour = rows.reduce<number | null>((sum, row) => (sum === null || row.pricePerHour === null ? null : sum + row.pricePerHour), 0);
  const document = { create: rows, existing: plan.existing.map((machine) => machine.name), calls: estimate?.calls ?? null, leastSeconds: estimate === null ? null : estimate.leastMs / 1000, pricePerHour };
  ctx.ui.report(document, (ui) => {
    if (plan.existing.length > 0) ui.line(`there already, left alone: ${compressNames(document.existing)}`);
    ui.table(
      [{ heading: 'DRIVER' }, { heading: 'TYPE' }, { heading: 'REGION' }, { heading: '#', numeric: true }, { heading: 'PRICE/H', numeric: true }, { heading: 'NAMES' }],
      rows.map((row) => [row.driver, row.type, row.region, String(row.names.length), row.pricePerHour === null ? unknownPrice(row.driver) : row.pricePerHour.toFixed(3), compressNames(row.names)]),
    );
    const parts = [`${count} ${count === 1 ? 'machine' : 'machines'}`, ...(estimate === null ? [] : [`about ${estimate.calls} calls`]), ...[leastTime(estimate) ?? []].flat(), ...(count === 0 ? [] : priceText(rows[0]?.driver ?? '', pricePerHour))];
    ui.line(`${parts.join(', ')}; nothing was made (--dry-run)`);
  });
  return EXIT.done;
}

function priceText(driver: string, pricePerHour: number | null): string[] {
  if (pricePerHour !== null) return [`${pricePerHour.toFixed(3)} an hour`];
  return unknownPrice(driver) === '' ? [] : ['price unknown'];
}
