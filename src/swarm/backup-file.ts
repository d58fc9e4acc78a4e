/** A backup as a file: a header with format version and checksum around it, so that damage and a newer belt's file are told apart. Pure. */
import { createHash } from 'node:crypto';
import * as v from 'valibot';

import { BeltError } from '../errors.ts';
import { Backup } from '../swarm-agent/api/backup.ts';

/** The version that this belt writes. */
export const BACKUP_VERSION = 1;

const Envelope = v.object({ format: v.literal('belt-backup'), version: v.pipe(v.number(), v.integer(), v.minValue(1)), checksum: v.string(), backup: v.record(v.string(), v.unknown()) });

export function encodeBackup(backup: Backup): string {
  const body = JSON.stringify(backup);
  return `{"format":"belt-backup","version":${BACKUP_VERSION},"checksum":"${checksum(BACKUP_VERSION, body)}","backup":${body}}\n`;
}

function checksum(version: number, body: string): string {
  return createHash('sha256').update(`${version}:${body}`).digest('hex');
}

/** Reads the text of `file` (its name is for the message). Throws `state_damaged` or `state_newer`. */
export function decodeBackup(text: string, file: string): Backup {
  const damaged = (why: string, cause?: unknown): BeltError =>
    new BeltError('state_damaged', `${file} is no backup that can be used: ${why}`, { cause, next: 'name another backup; belt swarm backup makes one while a manager answers' });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw damaged(text === '' ? 'it is empty' : 'it ends too early or is no JSON', error);
  }
  const envelope = v.safeParse(Envelope, parsed);
  if (!envelope.success) throw damaged('it has no header of belt');
  const { version, backup } = envelope.output;
  if (version > BACKUP_VERSION) throw new BeltError('state_newer', `${file} was written by a newer belt (format ${version}, this one knows ${BACKUP_VERSION})`, { next: 'use the belt that wrote it, or a newer one' });
  if (checksum(version, JSON.stringify(backup)) !== envelope.output.checksum) throw damaged('its checksum does not match');
  const checked = v.safeParse(Backup, backup);
  if (!checked.success) throw damaged(`${v.getDotPath(checked.issues[0]) ?? 'backup'}: ${checked.issues[0].message}`);
  return checked.output;
}
