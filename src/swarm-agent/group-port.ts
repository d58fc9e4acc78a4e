/** The port through which an agent runs its Raft member: `member/` on disk and over TLS in the daemon, in memory in some tests. */
import type { TLSSocket } from 'node:tls';

import type { Group } from './api/group.ts';
import type { ManagerAddress } from './api/shapes.ts';
import type { Log } from './ports.ts';
import type { Credentials, Identify, PeerIdentity } from './transport/identity.ts';

export interface GroupOptions {
  /** The cluster's id: members of another one are refused. */
  readonly cluster: string;
  readonly id: string;
  /** `host:port` where the others reach it. */
  readonly address: string;
  /** Its files. */
  readonly folder: string;
  /** The first manager of a new cluster: it is the only voter. Else it waits to be taken in. */
  readonly founding: boolean;
  /** Raft's limits where they are not the defaults. */
  readonly limits: Readonly<Record<string, number>>;
  /** Whom a member that has no membership yet may answer: the managers that will take it in. */
  readonly managers: () => readonly ManagerAddress[];
  readonly credentials: () => Credentials;
  readonly identify: Identify;
  readonly log: Log;
  /** Role, leader, membership or state have changed. */
  readonly onChange: () => void;
  /** It cannot go on (damaged log, failing disk, newer cluster): it is stopped. */
  readonly onFailure: (error: Error) => void;
}

export interface RunningGroup extends Group {
  /** What is wrong and does not stop it; null: nothing. */
  problem(): string | null;
  /** Takes over a connection of another manager. */
  accept(socket: TLSSocket, peer: PeerIdentity): void;
  /** Key, certificate or roots have changed: connections are made anew. */
  renewed(): void;
  /** Ends connections that were opened with a certificate of one of these serials. */
  cut(revoked: ReadonlySet<string>): void;
  /** The newest epoch in which the managers went on without this one, which has stopped; null as long as that is not so. */
  readonly newerEpoch: number | null;
  /** A manager of the cluster is of that epoch. Where it is newer than what is known, this member stops at once, for good, and tells the others of its group. */
  outlived(epoch: number): void;
  /** Ends a connection of Raft whose certificate is not accepted, and says of which epoch this manager is. */
  turnAway(socket: TLSSocket, why: string): void;
  /** Hands leadership over where it has it, then stops. */
  stop(): Promise<void>;
}

export type StartGroup = (options: GroupOptions) => Promise<RunningGroup>;

/** Makes the stopped member in `folder` the only voter of the next epoch, keeping its state and log. Returns the epoch. A repeat with the same epoch changes nothing. */
export type ReformGroup = (options: { readonly folder: string; readonly id: string; readonly address: string; readonly epoch: number }) => Promise<void>;
