/** How machines are switched on, for the next step of an error: by belt where it made them, else by a switch that only their owner has. */
import { compressNames } from '../range/compress.ts';

/** `belt start 'mg[0:1]'`, `switch host0 on by hand`, or both. A name without a driver is taken for a machine of belt's. */
export function wayOn(names: readonly string[], driverOf: (name: string) => string | undefined): string {
  const hosts = names.filter((name) => driverOf(name) === 'generic');
  const ours = names.filter((name) => !hosts.includes(name));
  const range = compressNames(ours);
  return [...(ours.length > 0 ? [`belt start ${range.includes('[') ? `'${range}'` : range}`] : []), ...(hosts.length > 0 ? [`switch ${compressNames(hosts)} on by hand`] : [])].join(', ');
}
