/** A name that no machine has ends a command before anything is done. */
import { BeltError } from '../errors.ts';
import { compressNames } from '../range/compress.ts';
import type { ClusterView } from './context.ts';

/** The cluster `default`, which nobody has made here: who expects machines stands in another folder than they think. */
export function noCluster({ name, files }: Pick<ClusterView, 'name' | 'files'>): BeltError {
  return new BeltError('unknown_cluster', `nobody has made cluster ${name} here: there is no ${files.folder}`, { next: 'cd to the folder with your .belt, or belt create SIZE RANGE' });
}

/** Throws `unknown_machine` for the names that are not among `machines`, `unknown_cluster` where there is no cluster. */
export function unknownMachines(cluster: Pick<ClusterView, 'name' | 'files' | 'exists'>, names: readonly string[], machines: readonly { readonly name: string }[]): void {
  const known = new Set(machines.map((machine) => machine.name));
  const absent = names.filter((name) => !known.has(name));
  if (absent.length > 0 && !cluster.exists) throw noCluster(cluster);
  if (absent.length > 0) throw new BeltError('unknown_machine', `cluster ${cluster.name} has no machine ${compressNames(absent)}; nothing was done`, { next: 'belt ls' });
}
