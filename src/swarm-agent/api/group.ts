/** What the calls need of this manager's Raft member (`member/`): an interface, so that they can be tested against a state alone. */
import type { MembershipChange, RaftStatus } from '../raft/types.ts';
import type { Change } from '../store/commands.ts';
import type { Revision } from '../store/records.ts';
import type { ClusterState } from '../store/state.ts';

export interface Group {
  readonly id: string;
  readonly state: ClusterState;
  /** How often the group was reformed. */
  readonly epoch: number;
  status(): RaftStatus;
  disk(): { readonly logBytes: number | null; readonly snapshotAgeMs: number | null };
  /**
   * Writes a change; a repeat with the same id returns the first result; `first`, when the repeated request was sent for the first time (ms since 1970), has one
   * that is too old to be recognised refused (`outcome_unknown`). Rejects with the state machine's refusal (`refused`, `unknown_machine`,
   * `bad_request`), with `no_quorum` where nothing was appended (this member does not lead), with `outcome_unknown` where leadership was lost in between.
   */
  write(id: string, change: Change, first?: number): Promise<Revision>;
  /** The hash of {@link state}, for comparing managers. Holds the process up for tens of milliseconds with thousands of nodes. */
  hash(): { readonly index: number; readonly hash: string };
  /** Resolves when {@link state} holds every write acknowledged before the call. Rejects with `no_quorum` where this member does not lead (any more). */
  read(): Promise<void>;
  /** Changes Raft's membership by one member. Rejects with `refused` (retryable where it is only too early) or as `write`. */
  change(change: MembershipChange): Promise<void>;
  /** Hands leadership over; resolves when it is gone. */
  transfer(target: string | null): Promise<void>;
}
