/** What a member is given, and what it tells: its ports. */
import type { BeltError } from '../../errors.ts';
import type { Disk } from '../log/disk.ts';
import type { Clock, Random } from '../ports.ts';
import type { Member as RaftMember, MemberId, Membership, Message, RaftConfig, RaftEvent, RoleChange } from '../raft/types.ts';
import type { Command } from '../store/commands.ts';
import type { WriteResult } from '../store/records.ts';

/** The other members, as messages go. */
export interface Network {
  /** Sends what can be sent, drops the rest; never blocks. */
  send(messages: readonly Message[]): void;
  /** Whom to be connected to from now on. */
  setPeers(members: readonly RaftMember[]): void;
  close(): void;
}

/** What the owner of a member is told. Called within the member's turn: take note and return. */
export interface MemberEvents {
  /** Role, term or leader have changed. */
  readonly onRole?: (change: RoleChange) => void;
  /** An entry was applied to {@link Member.state}. */
  readonly onApplied?: (command: Command, result: WriteResult) => void;
  /** The state was replaced by a snapshot of the leader's. */
  readonly onRestored?: () => void;
  /** A membership is in force. */
  readonly onMembership?: (membership: Membership) => void;
  readonly onEvent?: (event: RaftEvent) => void;
  /** A snapshot of its own could not be written: the log grows until one can. Told at each try. */
  readonly onSnapshotFailed?: (error: BeltError) => void;
  /** The member has stopped by itself: the disk failed, or the cluster's level is above this release. */
  readonly onFailed?: (error: BeltError) => void;
}

export interface MemberOptions {
  readonly id: MemberId;
  /** How often the group was reformed; 0 at first. */
  readonly epoch?: number;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  /** Connects the member: messages that arrive go to the function given. */
  readonly network: (receive: (messages: readonly Message[]) => void) => Network;
  readonly config?: Partial<RaftConfig>;
  /** Founds the group: on an empty disk, the member begins with this membership. All founders must be given the same. */
  readonly founding?: Membership;
  readonly events?: MemberEvents;
  /** Calls `act` when the inputs at hand have been taken in. Default `setImmediate`: one turn of the event loop makes one batch. */
  readonly soon?: (act: () => void) => void;
  readonly segmentBytes?: number;
}

/** What a member shows beside Raft's own status. */
export interface MemberDisk {
  readonly logBytes: number | null;
  readonly snapshotAgeMs: number | null;
}
