/** A name that no machine has ends a command before anything is done. */
import { BeltError } from '../errors.ts';
import { compressNames } from '../range/compress.ts';

/** Throws `unknown_machine` for the names that are not among `machines`. */
export function unknownMachines(cluster: string, names: readonly string[], machines: readonly { readonly name: string }[]): void {
  const known = new Set(machines.map((machine) => machine.name));
  const absent = names.filter((name) => !known.has(name));
  if (absent.length > 0) throw new BeltError('unknown_machine', `cluster ${cluster} has no machine ${compressNames(absent)}; nothing was done`, { next: 'belt ls' });
}
