/** The core's numbers: defaults for one rack, and the ranges they are checked against, all mistakes at once. */
import { BeltError } from '../../errors.ts';
import type { RaftConfig } from './types.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Every limit with its default and the range it may be set to. What a message carries has to fit into a frame of the transport (8 MiB), its headers included. */
export const CONFIG_RANGES: { readonly [K in keyof RaftConfig]: { readonly value: number; readonly min: number; readonly max: number } } = {
  heartbeatMsMin: { value: 50, min: 5, max: 10_000 },
  heartbeatMsMax: { value: 1_000, min: 5, max: 60_000 },
  electionMsMin: { value: 150, min: 20, max: 60_000 },
  electionMsMax: { value: 8_000, min: 20, max: 300_000 },
  entryBytesMax: { value: MiB, min: KiB, max: 2 * MiB },
  appendBytesMax: { value: 256 * KiB, min: KiB, max: 4 * MiB },
  inflightMessagesMax: { value: 256, min: 1, max: 65_536 },
  inflightBytesMax: { value: 8 * MiB, min: KiB, max: 256 * MiB },
  uncommittedEntriesMax: { value: 65_536, min: 1, max: 10_000_000 },
  uncommittedBytesMax: { value: 64 * MiB, min: KiB, max: 1024 * MiB },
  readsMax: { value: 65_536, min: 1, max: 10_000_000 },
  applyEntriesMax: { value: 8_192, min: 1, max: 1_000_000 },
  windowBytesMax: { value: 4 * MiB, min: 0, max: 4096 * MiB },
  snapshotEntries: { value: 100_000, min: 1, max: 100_000_000 },
  snapshotBytes: { value: 64 * MiB, min: KiB, max: 4096 * MiB },
  trailingEntries: { value: 10_000, min: 0, max: 10_000_000 },
  snapshotChunkBytes: { value: 512 * KiB, min: 1, max: 4 * MiB },
};

/** Defaults with `given` over them. Throws `config` that names every value out of range and every pair that contradicts itself. */
export function checkConfig(given: Partial<RaftConfig> = {}): RaftConfig {
  const config: Record<string, number> = {};
  const mistakes: string[] = [];
  for (const [key, { value, min, max }] of Object.entries(CONFIG_RANGES)) {
    const chosen = given[key as keyof RaftConfig] ?? value;
    if (!Number.isInteger(chosen) || chosen < min || chosen > max) mistakes.push(`${key} is ${chosen}, want a whole number from ${min} to ${max}`);
    config[key] = chosen;
  }
  for (const key of Object.keys(given)) if (!(key in CONFIG_RANGES)) mistakes.push(`${key} is not a setting of Raft`);
  const checked = config as unknown as RaftConfig;
  if (checked.heartbeatMsMin > checked.heartbeatMsMax) mistakes.push('heartbeatMsMin is above heartbeatMsMax');
  if (checked.electionMsMin > checked.electionMsMax) mistakes.push('electionMsMin is above electionMsMax');
  // A follower must miss more than one heartbeat before it doubts its leader (paper, section 5.6: broadcast time well below the election timeout).
  if (checked.electionMsMin < 2 * checked.heartbeatMsMin) mistakes.push('electionMsMin is below twice heartbeatMsMin');
  if (checked.electionMsMax < 2 * checked.heartbeatMsMax) mistakes.push('electionMsMax is below twice heartbeatMsMax');
  if (mistakes.length > 0) throw new BeltError('config', `Raft settings: ${mistakes.join('; ')}`, { next: 'correct the key raft of the configuration, then belt bootstrap the managers' });
  return checked;
}
