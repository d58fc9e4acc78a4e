/**
 * What the managers agree on: the records of the cluster's state. Records are never changed in place, only replaced, so that a
 * snapshot can share them with the living state. Times are milliseconds since 1970, given by whoever proposed the change.
 * Fields are null when unknown, never absent, and records are built in the order of the fields here, so that their JSON is canonical.
 */

/** A secret sealed by `sealer.ts`: only its ciphertext is in the log, in snapshots and in backups. */
export type SealedText = string & { readonly sealed: true };

export type NodeRole = 'manager' | 'worker';
export type Availability = 'active' | 'pause' | 'drain';

/** A revision is the Raft index of the write that last changed a record. */
export type Revision = number;

export interface ClusterRecord {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  /** The command level every manager's release understands (see `commands.ts`). It only rises. */
  readonly level: number;
}

export interface NodeCertificate {
  readonly serial: string;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  readonly notAfter: number;
}

export interface NodeRecord {
  readonly id: string;
  /** The machine's name; unique in the cluster. */
  readonly name: string;
  readonly role: NodeRole;
  readonly availability: Availability;
  /** Where its agent listens, `host:port`. */
  readonly address: string;
  readonly publicIpv4: string | null;
  readonly privateIpv4: string | null;
  readonly driver: string | null;
  readonly datacenter: string | null;
  readonly region: string | null;
  readonly size: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly engine: 'docker' | 'none';
  /** The node's id in Docker Swarm. */
  readonly dockerId: string | null;
  readonly agentVersion: string;
  readonly certificate: NodeCertificate | null;
  readonly joinedAt: number;
  readonly revision: Revision;
}

/** A join token of one role. The secret itself is sealed, so that any manager can show it to the operator again. */
export interface TokenRecord {
  readonly role: NodeRole;
  readonly secret: SealedText;
  /** Counts the rotations, from 1. */
  readonly version: number;
  readonly rotatedAt: number;
  readonly revision: Revision;
}

/** A certificate that was issued, or one only known as revoked: then all but its serial, `notAfter` and `revokedAt` is null. */
export interface CertificateRecord {
  readonly serial: string;
  readonly name: string | null;
  readonly role: 'operator' | 'manager' | 'worker' | 'machine' | null;
  readonly fingerprint: string | null;
  readonly issuedAt: number | null;
  readonly notAfter: number;
  /** When it was revoked; null while it counts. */
  readonly revokedAt: number | null;
}

/** The certificate authority. While a rotation runs there are two roots: the one that signs is first. */
export interface AuthorityRecord {
  readonly generation: number;
  readonly phase: 'steady' | 'distributing' | 'reissuing';
  /** PEM. */
  readonly roots: readonly string[];
  /** The signing root's private key (PKCS #8 PEM), sealed. */
  readonly key: SealedText;
  readonly changedAt: number;
  readonly revision: Revision;
}

/** One operation in the journal: intent before the act, result after. */
export interface OperationRecord {
  readonly id: string;
  /** What is being done, e.g. `promote`. */
  readonly kind: string;
  /** Whom it concerns: a node id, or what `kind` says. */
  readonly subject: string;
  readonly state: 'intended' | 'done' | 'failed';
  /** What the operation needs to be driven to its end, and at the end what came of it. JSON, at most 16 KiB. */
  readonly detail: string;
  readonly intendedAt: number;
  readonly endedAt: number | null;
  readonly revision: Revision;
}

/** Docker Swarm's own join tokens and unlock key, sealed. */
export interface SwarmRecord {
  readonly swarmId: string;
  readonly workerToken: SealedText;
  readonly managerToken: SealedText;
  readonly unlockKey: SealedText | null;
  readonly changedAt: number;
  readonly revision: Revision;
}

export interface SettingRecord {
  readonly key: string;
  readonly value: string;
  readonly revision: Revision;
}

/** What became of one write. `refused` is a verdict of the state machine: nothing was changed. */
export type WriteResult =
  | { readonly ok: true; readonly revision: Revision }
  | { readonly ok: false; readonly code: RefusalCode; readonly message: string };

/** Why the state machine refuses: `unknown_machine` no such node, `refused` a precondition does not hold, `bad_request` not understood at the cluster's level, `outcome_unknown` a repeat too old to tell. */
export type RefusalCode = 'unknown_machine' | 'refused' | 'bad_request' | 'outcome_unknown';
