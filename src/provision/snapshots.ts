/**
 * Copies of machines' disks, kept by the cloud, from which `create --image` makes new ones. An optional part beside the driver. A snapshot's name
 * follows from what was asked, so that asking again finds it: `MACHINE@LABEL` here, a path with the cluster's id on the cloud.
 */
import { BeltError, isBeltError, type Outcome } from '../errors.ts';
import type { ClusterTag, Machine } from './driver.ts';
import { fanOut } from './fan-out.ts';
import type { Pace } from './rate-limit.ts';

export interface Snapshot {
  /** `MACHINE@LABEL`. */
  readonly name: string;
  readonly driver: string;
  /** The cloud's own id, which is its name as an image. */
  readonly id: string;
  readonly machine: string;
  /** Where machines can be made from it. */
  readonly regions: readonly string[];
  /** `error`: it cannot be used, and only be removed. */
  readonly status: 'new' | 'ready' | 'error';
  readonly sizeGb: number | null;
  /** ISO 8601, UTC. */
  readonly createdAt: string | null;
}

export interface Snapshots {
  /** Takes one of each machine and yields its outcome, named as the machine, when it is ready. One of the label that is there already is ok with a note. */
  take(cluster: ClusterTag, machines: readonly Machine[], label: string, signal: AbortSignal): AsyncIterable<Outcome<Snapshot>>;
  /** All of the cluster. */
  list(cluster: ClusterTag, signal: AbortSignal): Promise<Snapshot[]>;
  /** Outcomes named as the snapshots are; one that is gone is ok. */
  remove(cluster: ClusterTag, snapshots: readonly Snapshot[], signal: AbortSignal): Promise<Outcome[]>;
}

/** A snapshot is given this long, milliseconds. */
export const SNAPSHOT_MS = 3_600_000;

/** Milliseconds between two looks: small disks are copied in seconds, large ones in half an hour. */
export function snapshotPollMs(poll: number): number {
  return Math.min(10_000, Math.round(500 * 1.5 ** poll));
}

export const snapshotName = (machine: string, label: string): string => `${machine}@${label}`;

/** What the cloud calls it; letters that every cloud takes. */
export const nameOnCloud = (cluster: ClusterTag, machine: string, label: string): string => `belt/${cluster.clusterId.slice(0, 12)}/${machine}/${label}`;

/** Machine and label of a snapshot of the cluster; null for anything else. */
export function readNameOnCloud(cluster: ClusterTag, text: string): { machine: string; label: string } | null {
  const [belt, clusterId, machine, label, ...more] = text.split('/');
  return belt === 'belt' && clusterId === cluster.clusterId.slice(0, 12) && machine !== undefined && label !== undefined && more.length === 0 ? { machine, label } : null;
}

/** How a cloud takes snapshots whose names it takes once, so that asking again makes nothing twice. */
export interface Taking {
  /** The cloud's own name, for messages. */
  readonly cloud: string;
  /** Calls under way at once. */
  readonly limit: number;
  readonly pace: Pace;
  /** The cluster's snapshots where these machines are. */
  readonly list: (machines: readonly Machine[]) => Promise<readonly Snapshot[]>;
  /** `there`: the cloud has it already, though the list did not show it. Throws `BeltError`. */
  readonly ask: (machine: Machine) => Promise<'asked' | 'there'>;
}

/** {@link Snapshots.take} by one list, a call for each that is missing, and lists until all are ready. */
export async function* takeSnapshots(machines: readonly Machine[], label: string, taking: Taking, signal: AbortSignal): AsyncIterable<Outcome<Snapshot>> {
  const { cloud, limit, pace, list, ask } = taking;
  const start = pace.now();
  const waiting = new Map(machines.map((machine) => [snapshotName(machine.name, label), machine]));
  const there = new Set((await list(machines)).map(({ name }) => name));
  const missing = [...waiting].filter(([name]) => !there.has(name));
  const run = async ([name, machine]: [string, Machine]): Promise<Outcome<Snapshot>[]> => {
    try {
      if ((await ask(machine)) === 'there') there.add(name);
      return [];
    } catch (error) {
      if (!isBeltError(error) || error.code === 'interrupted') throw error;
      waiting.delete(name);
      return [{ name: machine.name, ok: false, error }];
    }
  };
  yield* fanOut(missing, limit, run);
  for (let poll = 0; waiting.size > 0; poll += 1) {
    for (const snapshot of await list([...waiting.values()])) {
      const machine = waiting.get(snapshot.name);
      if (machine === undefined || snapshot.status === 'new') continue;
      waiting.delete(snapshot.name);
      const { name } = machine;
      if (snapshot.status === 'ready') yield { name, ok: true, value: snapshot, note: there.has(snapshot.name) ? `${snapshot.name} is there already` : undefined };
      else yield { name, ok: false, error: new BeltError('driver', `${cloud} could not make a snapshot of it`, { machine: name, next: `belt snapshot rm ${snapshot.name}, then take it again` }) };
    }
    if (waiting.size === 0) return;
    if (pace.now() - start > SNAPSHOT_MS) {
      for (const { name } of waiting.values()) yield { name, ok: false, error: new BeltError('timeout', `its snapshot is not ready after ${SNAPSHOT_MS / 60_000} minutes`, { machine: name, next: 'belt snapshot ls' }) };
      return;
    }
    await pace.sleep(snapshotPollMs(poll), signal);
  }
}
