/** A backup as a file. Pure. */
import { createHash } from 'node:crypto';
import * as v from 'valibot';

import { BeltError } from '../errors.ts';
import { type Format, unwrap, wrap } from '../inventory/envelope.ts';
import { Backup } from '../swarm-agent/api/backup.ts';

/** The version that this belt writes. */
export const BACKUP_VERSION = 1;

const FORMAT: Format = {
  name: 'belt-backup', version: BACKUP_VERSION, key: 'backup',
  checksum: (version, body) => createHash('sha256').update(`${version}:${body}`).digest('hex'),
  damaged: (file, why, cause) =>
    new BeltError('state_damaged', `${file} is no backup that can be used: ${why}`, { cause, next: 'name another backup; belt swarm backup makes one while a manager answers' }),
};

export function encodeBackup(backup: Backup): string {
  return wrap(FORMAT, backup);
}

/** Reads the text of `file` (its name is for the message). Throws `state_damaged` or `state_newer`. */
export function decodeBackup(text: string, file: string): Backup {
  const checked = v.safeParse(Backup, unwrap(FORMAT, text, file).body);
  if (!checked.success) throw FORMAT.damaged(file, `${v.getDotPath(checked.issues[0]) ?? 'backup'}: ${checked.issues[0].message}`);
  return checked.output;
}
