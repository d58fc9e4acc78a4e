/** Snapshots of droplets. A droplet is locked while one is made, which makes asking again safe: what a died run asked for is waited for and then found by its name. */
import { BeltError, isBeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Machine } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { realPace } from '../../src/provision/rate-limit.ts';
import { runAll } from '../../src/provision/run-all.ts';
import { nameOnCloud, readNameOnCloud, SNAPSHOT_MS, type Snapshot, snapshotName, snapshotPollMs, type Snapshots } from '../../src/provision/snapshots.ts';
import { type ApiPorts, DigitalOceanApi, type DropletSnapshot, isNotFound } from './api.ts';
import type { DigitalOceanOptions } from './options.ts';
import { clusterTag } from './tags.ts';

/** Looks at an unlocked droplet without its snapshot until that counts as none: lists lag. */
const LOOKS = 3;

export function createSnapshots(options: DigitalOceanOptions, ports: ApiPorts = {}): Snapshots {
  let opened: Promise<DigitalOceanApi> | undefined;
  const open = (): Promise<DigitalOceanApi> => (opened ??= DigitalOceanApi.open(options, ports));
  const list = async (api: DigitalOceanApi, cluster: ClusterTag, signal: AbortSignal): Promise<Owned[]> =>
    (await api.snapshots(signal)).flatMap((one) => {
      const read = readNameOnCloud(cluster, one.name);
      return read === null ? [] : [{ snapshot: snapshotOf(one, read), isTagged: one.tags?.includes(clusterTag(cluster.clusterId)) === true }];
    });
  return {
    async *take(cluster, machines, label, signal): AsyncIterable<Outcome<Snapshot>> {
      const api = await open();
      const pace = ports.pace ?? realPace;
      const start = pace.now();
      let waiting = machines.map((machine): Wish => ({ machine, asked: false, looks: 0 }));
      for (let poll = 0; ; poll += 1) {
        const droplets = new Map((await api.dropletsByTag(clusterTag(cluster.clusterId), signal)).map((droplet) => [String(droplet.id), droplet]));
        const owned = await list(api, cluster, signal);
        const there = new Map(owned.map(({ snapshot }) => [snapshot.name, snapshot]));
        const over = pace.now() - start > SNAPSHOT_MS;
        const judged = waiting.map((wish) => ({ wish, outcome: judge(wish, droplets.get(wish.machine.id), there.get(snapshotName(wish.machine.name, label)), over) }));
        const untagged = owned.flatMap(({ snapshot, isTagged }) => (isTagged ? [] : [snapshot.id]));
        if (untagged.length > 0) await api.tagImages(clusterTag(cluster.clusterId), untagged, signal);
        for (const { outcome } of judged) if (outcome !== null) yield outcome;
        waiting = judged.flatMap(({ wish, outcome }) => (outcome === null ? [wish] : []));
        const due = waiting.filter((wish) => !wish.asked && droplets.get(wish.machine.id)?.locked === false);
        for await (const failure of fanOut(due, options.concurrency, (wish) => ask(api, cluster, wish, label, signal))) {
          waiting = waiting.filter(({ machine }) => machine.name !== failure.name);
          yield failure;
        }
        if (waiting.length === 0) return;
        await pace.sleep(snapshotPollMs(poll), signal);
      }
    },
    list: async (cluster, signal) => (await list((await open()).look(), cluster, signal)).map(({ snapshot }) => snapshot),
    async remove(_cluster, snapshots, signal): Promise<Outcome[]> {
      const api = await open();
      const act = ({ id }: Snapshot): Promise<void> =>
        api.deleteSnapshot(id, signal).catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
        });
      return runAll(snapshots, act, { limit: options.concurrency, signal, nameOf: ({ name }) => name });
    },
  };
}

interface Owned {
  readonly snapshot: Snapshot;
  readonly isTagged: boolean;
}

interface Wish {
  readonly machine: Machine;
  /** This run has asked for it. */
  asked: boolean;
  looks: number;
}

/** What has become of it; null while it is on its way, or not yet asked for. */
function judge(wish: Wish, droplet: { readonly locked: boolean } | undefined, snapshot: Snapshot | undefined, over: boolean): Outcome<Snapshot> | null {
  const { name } = wish.machine;
  const fail = (code: 'driver' | 'timeout', why: string): Outcome<Snapshot> => ({ name, ok: false, error: new BeltError(code, why, { machine: name, next: 'the same command again' }) });
  if (snapshot !== undefined) return { name, ok: true, value: snapshot, note: wish.asked ? undefined : `${snapshot.name} is there already` };
  if (droplet === undefined) return fail('driver', `there is no droplet ${wish.machine.id}`);
  if (over) return fail('timeout', `its snapshot is not ready after ${SNAPSHOT_MS / 60_000} minutes`);
  if (!wish.asked || droplet.locked) return null;
  wish.looks += 1;
  return wish.looks < LOOKS ? null : fail('driver', 'DigitalOcean made no snapshot of it and says no more');
}

/** Asks once. An answer that is lost is no failure: the droplet is locked then, or the snapshot there. */
async function ask(api: DigitalOceanApi, cluster: ClusterTag, wish: Wish, label: string, signal: AbortSignal): Promise<Outcome<Snapshot>[]> {
  const { name, id } = wish.machine;
  try {
    wish.asked = (await api.snapshot(id, nameOnCloud(cluster, name, label), signal)) === 'asked';
    return [];
  } catch (error) {
    if (!isBeltError(error) || error.code === 'interrupted') throw error;
    return error.retryable ? [] : [{ name, ok: false, error }];
  }
}

function snapshotOf(one: DropletSnapshot, { machine, label }: { machine: string; label: string }): Snapshot {
  return { name: snapshotName(machine, label), driver: 'digitalocean', id: one.id, machine, regions: one.regions, status: 'ready', sizeGb: one.size_gigabytes, createdAt: one.created_at };
}
