/**
 * Every change of the cluster's state is one of these commands, written as JSON into a Raft entry.
 *
 * Two releases can run side by side because of the level: every command belongs to the level that brought it, the cluster has the level all
 * its managers understand, and a command above it is refused by everyone alike, by those who know it and by those who do not. `cluster.level`
 * raises it when the last manager runs the new release. A command that has been released never changes; a new shape is a new command. The envelope is fixed for good.
 */
import { BeltError } from '../../errors.ts';
import type {
  AuthorityRecord, Availability, CertificateRecord, NodeCertificate, NodeRecord, NodeRole, SealedText, SwarmRecord,
} from './records.ts';

/** What a node tells when it enters; what is missing is unknown (null). */
export type NewNode = Omit<NodeRecord, 'revision' | 'joinedAt' | 'availability' | 'labels'>;

/** The facts about a node that change without an operation. */
export type NodeFacts = Partial<
  Pick<NodeRecord, 'address' | 'publicIpv4' | 'privateIpv4' | 'driver' | 'datacenter' | 'region' | 'size' | 'engine' | 'dockerId' | 'agentVersion'>
>;

/** All changes of level 1. `ifRevision`, where it stands, refuses the write when the record has changed since (0: when it exists). */
export type Change =
  /** The first write of a cluster. Refused when there is one already. */
  | { readonly type: 'cluster.init'; readonly clusterId: string; readonly name: string }
  /** Raises the level. A member whose release does not reach it stops rather than guess. */
  | { readonly type: 'cluster.level'; readonly level: number }
  /** A node enters, or enters again under the same id with new facts (role included); its labels and availability stay. */
  | { readonly type: 'node.add'; readonly node: NewNode }
  | { readonly type: 'node.facts'; readonly node: string; readonly facts: NodeFacts }
  /** Sets and removes labels; what is removed and absent is no error. */
  | { readonly type: 'node.label'; readonly node: string; readonly set: Readonly<Record<string, string>>; readonly remove: readonly string[]; readonly ifRevision?: number }
  | { readonly type: 'node.availability'; readonly node: string; readonly availability: Availability }
  | { readonly type: 'node.role'; readonly node: string; readonly role: NodeRole; readonly ifRevision?: number }
  /** The node's certificate was renewed: its record and the list of certificates change together. */
  | { readonly type: 'node.certificate'; readonly node: string; readonly certificate: NodeCertificate }
  /** The node leaves; its certificates still valid are revoked with it. */
  | { readonly type: 'node.remove'; readonly node: string }
  | { readonly type: 'token.rotate'; readonly role: NodeRole; readonly secret: SealedText }
  | { readonly type: 'certificate.issued'; readonly certificate: Omit<CertificateRecord, 'revokedAt'> }
  /** Revokes by serial; unknown serials are recorded as revoked until `notAfter`. */
  | { readonly type: 'certificate.revoke'; readonly serial: string; readonly notAfter: number }
  /** Forgets certificates that ran out before `at`. */
  | { readonly type: 'certificate.prune' }
  | { readonly type: 'authority.set'; readonly authority: Omit<AuthorityRecord, 'revision' | 'changedAt'>; readonly ifRevision?: number }
  | { readonly type: 'operation.intend'; readonly operation: string; readonly kind: string; readonly subject: string; readonly detail: string }
  | { readonly type: 'operation.end'; readonly operation: string; readonly state: 'done' | 'failed'; readonly detail: string }
  | { readonly type: 'swarm.set'; readonly swarm: Omit<SwarmRecord, 'revision' | 'changedAt'> }
  | { readonly type: 'setting.set'; readonly key: string; readonly value: string; readonly ifRevision?: number }
  | { readonly type: 'setting.remove'; readonly key: string; readonly ifRevision?: number }
  /** Several changes that happen together or not at all. They may not contain `all` themselves. */
  | { readonly type: 'all'; readonly changes: readonly Change[] };

/** The level this release understands, and the level at which each change came. */
export const COMMAND_LEVEL = 1;
export const CHANGE_LEVELS: Readonly<Record<Change['type'], number>> = {
  'cluster.init': 1, 'cluster.level': 1, 'node.add': 1, 'node.facts': 1, 'node.label': 1, 'node.availability': 1, 'node.role': 1,
  'node.certificate': 1, 'node.remove': 1, 'token.rotate': 1, 'certificate.issued': 1, 'certificate.revoke': 1, 'certificate.prune': 1,
  'authority.set': 1, 'operation.intend': 1, 'operation.end': 1, 'swarm.set': 1, 'setting.set': 1, 'setting.remove': 1, all: 1,
};

/** A change with its envelope. */
export interface Command {
  /** The request's id, unique (128 random bits, or a name derived from the operation): a repeat of it returns the first result. 1 to 64 characters. */
  readonly id: string;
  /** When it was proposed, ms, by the clock of the member that proposes. */
  readonly at: number;
  /** The level of the change. */
  readonly level: number;
  /** On a repeat only: when the request was first sent, ms. It lets the store refuse a repeat older than what it remembers. */
  readonly first?: number;
  readonly change: Change;
}

/** Bounds of what a command may carry. */
export const COMMAND_LIMITS = {
  /** Bytes of one encoded command. */
  bytes: 512 * 1024,
  labelsPerNode: 256,
  /** Characters of a label's key, and of a setting's key. */
  key: 256,
  /** Characters of a label's value. */
  labelValue: 1024,
  /** Characters of a setting's value. */
  settingValue: 64 * 1024,
  /** Characters of an operation's detail. */
  operationDetail: 16 * 1024,
  /** Changes in one `all`. */
  changes: 1024,
} as const;

/** A command for `change`. `level` is that of its newest part. */
export function command(id: string, at: number, change: Change, first?: number): Command {
  const level = change.type === 'all' ? Math.max(1, ...change.changes.map((part) => CHANGE_LEVELS[part.type])) : CHANGE_LEVELS[change.type];
  return first === undefined ? { id, at, level, change } : { id, at, level, first, change };
}

/** A command as the bytes of a Raft entry. Throws `BeltError('bad_request')` when it is larger than {@link COMMAND_LIMITS} allows. */
export function encodeCommand(value: Command): Buffer {
  const bytes = Buffer.from(JSON.stringify(value));
  if (bytes.length > COMMAND_LIMITS.bytes) throw new BeltError('bad_request', `a write of ${bytes.length} bytes is larger than the ${COMMAND_LIMITS.bytes} allowed`);
  return bytes;
}

/** What stands in a Raft entry. Its change is unknown to this release when `level` is above {@link COMMAND_LEVEL}. */
export function decodeCommand(bytes: Uint8Array): Command {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as Command;
}
