/** Sizes of local machines: words for memory that nobody measures out, so that the same commands work here and on a cloud. */
import { BeltError } from '../../src/errors.ts';
import type { MachineType } from '../../src/provision/driver.ts';

const MEMORY_MB = [512, ...Array.from({ length: 9 }, (_, power) => 1024 * 2 ** power)];

/** The sizes on offer: 512mb, 1gb … 256gb. */
export const LOCAL_TYPES: readonly MachineType[] = MEMORY_MB.map((memoryMb) => ({
  name: memoryMb < 1024 ? `${memoryMb}mb` : `${memoryMb / 1024}gb`,
  memoryMb,
  vcpus: 1,
  pricePerHour: 0,
  regions: null,
}));

/** Memory of a size's name in MB; any whole number of mb or gb is taken. Throws `config` for another name. */
export function memoryMbOf(size: string): number {
  const match = /^([1-9][0-9]{0,6})(mb|gb)$/i.exec(size);
  if (match === null) throw new BeltError('config', `local machines have no size ${JSON.stringify(size)}`, { next: 'give memory such as 512mb or 8gb' });
  return Number(match[1]) * (match[2]?.toLowerCase() === 'gb' ? 1024 : 1);
}
