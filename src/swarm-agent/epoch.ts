/**
 * The epoch of a manager's Raft files: how often the group was reformed. Beside it stands the newest epoch that this manager has heard of, so that
 * one left behind by a rebuild stays stopped over restarts; and the way to begin anew in that epoch without losing what there was.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';

import { BeltError } from '../errors.ts';
import { readText, syncFolder, writeText } from './identity/files.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const EpochFile = v.object({ epoch: count, newer: v.optional(count) });

export interface Epochs {
  /** Of the group in the folder; 0 before the first reform. */
  readonly epoch: number;
  /** The newest one heard of, where the managers went on without this one; null as long as that is not so. */
  readonly newer: number | null;
}

/** The epochs of the group in `folder`. Throws `BeltError('log_corrupt')`. */
export function readEpochs(folder: string): Epochs {
  const text = readText(join(folder, 'epoch.json'));
  if (text === null) return { epoch: 0, newer: null };
  try {
    const { epoch, newer = null } = v.parse(EpochFile, JSON.parse(text));
    return { epoch, newer };
  } catch (error) {
    throw new BeltError('log_corrupt', `${join(folder, 'epoch.json')} is damaged`, { cause: error, next: 'belt swarm demote this manager and promote it again' });
  }
}

/** Written before a member of a reformed group starts for the first time, and when a newer epoch is heard of. Durable. */
export function writeEpochs(folder: string, { epoch, newer }: Epochs): void {
  writeText(join(folder, 'epoch.json'), JSON.stringify(newer === null ? { epoch } : { epoch, newer }));
}

/** Why a manager of `epoch` has stopped. */
export function leftBehind(epoch: number, newer: number): BeltError {
  return new BeltError('no_quorum', `the managers went on in epoch ${newer} without this one, which is of epoch ${epoch}`, {
    retryable: true, next: 'it comes back by itself when they take it in; or belt swarm rebuild again',
  });
}

/**
 * Leaves an empty member of `epoch` in `folder`. What was there is kept in `aside` (the last of its kind only) where `keep` says that it holds anything.
 * The new folder is whole before it takes the old one's place: an empty member under the old epoch would have forgotten its votes and entries.
 */
export function beginAnew(folder: string, aside: string, { epoch, keep }: { readonly epoch: number; readonly keep: boolean }): void {
  const fresh = `${folder}.new`;
  try {
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true, mode: 0o700 });
    writeEpochs(fresh, { epoch, newer: null });
    if (keep) rmSync(aside, { recursive: true, force: true });
    if (keep) renameSync(folder, aside);
    else rmSync(folder, { recursive: true, force: true });
    finishAnew(folder);
  } catch (error) {
    throw new BeltError('disk', `cannot set ${folder} aside: ${(error as Error).message}`, { cause: error });
  }
}

/** Ends what {@link beginAnew} began, after a crash too. */
export function finishAnew(folder: string): void {
  const fresh = `${folder}.new`;
  if (!existsSync(fresh)) return;
  // With the old one in its place nothing was begun yet that could not begin again.
  if (existsSync(folder)) rmSync(fresh, { recursive: true, force: true });
  else renameSync(fresh, folder);
  syncFolder(dirname(folder));
}
