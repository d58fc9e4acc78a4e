/** Snapshots of a cluster over all its drivers, and snapshots as images of new machines. */
import { DRIVERS } from '../../drivers/registry.ts';
import { BeltError } from '../errors.ts';
import type { OrderedMachine } from '../provision/driver.ts';
import { driversInPlay } from '../provision/fleet.ts';
import { runAll } from '../provision/run-all.ts';
import { type Snapshot, snapshotName } from '../provision/snapshots.ts';
import { expandRanges } from '../range/expand.ts';
import type { ClusterView, Context } from './context.ts';

const CLOUDS_AT_ONCE = 8;

/** The drivers of the cluster that have snapshots. Throws `failed` where none of them has. */
async function driversWithSnapshots(ctx: Context, cluster: ClusterView): Promise<string[]> {
  const names = [...new Set([...driversInPlay(cluster.state), (await ctx.settings()).driver])];
  const able = names.filter((name) => DRIVERS[name]?.snapshots !== undefined);
  if (able.length === 0) throw noSnapshots(names.join(', '));
  return able;
}

export function noSnapshots(driver: string): BeltError {
  const able = Object.entries(DRIVERS).flatMap(([name, { snapshots }]) => (snapshots === undefined ? [] : [name]));
  return new BeltError('failed', `belt takes no snapshots on ${driver}; nothing was done`, { next: `it does on ${able.join(', ').replace(/, (\w+)$/, ' and $1')}` });
}

/** The snapshots of all drivers of the cluster; says which do not answer. */
export async function listSnapshots(ctx: Context, cluster: ClusterView): Promise<Snapshot[]> {
  return snapshotsOn(ctx, cluster, await driversWithSnapshots(ctx, cluster));
}

/** The snapshots of these drivers; says which do not answer. Throws where none does. */
export async function snapshotsOn(ctx: Context, cluster: ClusterView, drivers: Iterable<string>): Promise<Snapshot[]> {
  const lists = await runAll([...drivers], async (driver) => (await ctx.beside(driver, 'snapshots'))?.list(cluster.tag, ctx.signal) ?? [], { limit: CLOUDS_AT_ONCE, signal: ctx.signal, nameOf: (driver) => driver });
  ctx.signal.throwIfAborted();
  const [first, ...rest] = lists.filter((list) => !list.ok);
  if (first !== undefined && !first.ok && rest.length === lists.length - 1) throw first.error;
  for (const list of lists) if (!list.ok) ctx.ui.warn(`${list.name} does not answer, its snapshots are not listed: ${list.error.message}`);
  return lists.flatMap((list) => (list.ok ? list.value : [])).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** `node[1:3]@before` → the names of three snapshots. Throws `usage`, `range`. */
export function snapshotNames(texts: readonly string[]): string[] {
  return texts.flatMap((text) => {
    const [ranges, label, ...more] = text.split('@');
    if (ranges === undefined || label === undefined || more.length > 0) throw new BeltError('usage', `'${text}' is no snapshot`, { next: "write MACHINE@LABEL as belt snapshot ls shows it, or 'node[1:3]@LABEL'" });
    return expandRanges([ranges]).map((machine) => snapshotName(machine, checkLabel(label)));
  });
}

/** A label that every cloud takes. Throws `usage`. */
export function checkLabel(label: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/.test(label)) throw new BeltError('usage', `'${label}' is no label`, { next: 'write letters, digits, dots and dashes, 63 at most' });
  return label;
}

/** The cloud's own name of the image: that of the snapshot where `image` is one's. Throws `failed` where it cannot be used for the machines. */
export async function imageOf(ctx: Context, driver: string, image: string | null, machines: readonly OrderedMachine[]): Promise<string | null> {
  if (image === null || !image.includes('@')) return image;
  const cluster = ctx.cluster();
  const snapshots = await ctx.beside(driver, 'snapshots');
  if (snapshots === null) throw noSnapshots(driver);
  const found = (await snapshots.list(cluster.tag, ctx.signal)).filter(({ name }) => name === image);
  const elsewhere = machines.map(({ region }) => region).find((region) => !found.some(({ regions }) => regions.includes(region)));
  const [snapshot] = found;
  if (snapshot === undefined) throw new BeltError('failed', `cluster ${cluster.name} has no snapshot ${image} on ${driver}`, { next: 'belt snapshot ls' });
  if (elsewhere !== undefined || found.length > 1) throw new BeltError('failed', `snapshot ${image} is in ${found.flatMap(({ regions }) => regions).join(', ')} and not in ${elsewhere ?? 'one region only'}`, { next: `create there: --region ${snapshot.regions[0] ?? ''}` });
  if (snapshot.status !== 'ready') throw new BeltError('failed', `snapshot ${image} is ${snapshot.status === 'new' ? 'not ready yet' : 'of no use'}`, { next: 'belt snapshot ls' });
  return snapshot.id;
}
