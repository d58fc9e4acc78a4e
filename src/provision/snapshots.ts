/**
 * Copies of machines' disks, kept by the cloud, from which `create --image` makes new ones. An optional part beside the driver. A snapshot's name
 * follows from what was asked, so that asking again finds it: `MACHINE@LABEL` here, a path with the cluster's id on the cloud.
 */
import type { Outcome } from '../errors.ts';
import type { ClusterTag, Machine } from './driver.ts';

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
