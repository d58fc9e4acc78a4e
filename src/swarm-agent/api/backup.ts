/**
 * A backup of the cluster plane: what the cluster knows of its nodes and certificates, and no secret. The CA's key is the operator's own, and join
 * tokens are made anew by a restore, so whoever finds a backup can open nothing with it.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import * as v from 'valibot';

import { BeltError } from '../../errors.ts';
import { Address, Availability, CertificateRole, Count, EngineKind, Id, LabelKey, MachineName, NodeRole, Pem, ShortText, Time } from './shapes.ts';

const NullableText = v.nullable(ShortText);

export const BackupNode = v.object({
  id: Id,
  name: MachineName,
  role: NodeRole,
  availability: Availability,
  address: Address,
  publicIpv4: NullableText,
  privateIpv4: NullableText,
  driver: NullableText,
  datacenter: NullableText,
  region: NullableText,
  size: NullableText,
  labels: v.record(LabelKey, v.pipe(v.string(), v.maxLength(1024))),
  engine: EngineKind,
  /** Its place in Docker's swarm, which a restore does not bring back. */
  dockerId: v.optional(NullableText, null),
  agentVersion: ShortText,
  certificate: v.nullable(v.object({ serial: ShortText, fingerprint: ShortText, notAfter: Count })),
});

/** Times of certificates are milliseconds since 1970. */
export const BackupCertificate = v.object({
  serial: ShortText,
  name: NullableText,
  role: v.nullable(CertificateRole),
  fingerprint: NullableText,
  issuedAt: v.nullable(Count),
  notAfter: Count,
  revokedAt: v.nullable(Count),
});

export const Backup = v.object({
  clusterId: Id,
  clusterName: ShortText,
  /** How often the managers were reformed, and the Raft index that the backup is of: of two backups the one with the higher pair is the later. */
  epoch: Count,
  index: Count,
  takenAt: Time,
  /** The root that signs, PEM, counted from 1. */
  root: Pem,
  generation: Count,
  nodes: v.array(BackupNode),
  certificates: v.array(BackupCertificate),
});
export type Backup = v.InferOutput<typeof Backup>;
export type BackupNode = v.InferOutput<typeof BackupNode>;

/** Bytes of JSON that a packed backup may open to: 50,000 nodes. */
const OPEN_BYTES_MAX = 64 * 1024 * 1024;

/** For the wire: 5,000 nodes are about 1 MB. */
export async function packBackup(backup: Backup): Promise<string> {
  return (await promisify(gzip)(JSON.stringify(backup))).toString('base64');
}

/** Throws `bad_request` where it is no backup. */
export async function unpackBackup(text: string): Promise<Backup> {
  try {
    const json = await promisify(gunzip)(Buffer.from(text, 'base64'), { maxOutputLength: OPEN_BYTES_MAX });
    return v.parse(Backup, JSON.parse(json.toString('utf8')));
  } catch (error) {
    throw new BeltError('bad_request', `this is no backup of a cluster: ${(error as Error).message}`, { cause: error });
  }
}
