/** Ceasing to be what one was: into a later term, behind another leader, or out of service. */
import { assert } from '../../errors.ts';
import type { Core } from './core.ts';
import { refuseReads } from './reads.ts';
import { succeed } from './transfer.ts';
import type { Append, Heartbeat, MemberId, RaftEvent, SnapshotChunk, Term } from './types.ts';

/** Follows `leader` (null: not known) in `term`, whatever this member was. Proposals under way become unknown, reads are refused: nothing is promised any more. */
export function stepDown(core: Core, term: Term, leader: MemberId | null, why: Extract<RaftEvent, { what: 'stepped-down' }>['why']): void {
  if (core.role === 'leader') {
    core.effects.lost = { term: core.term, after: core.commit };
    core.event({ what: 'stepped-down', term: core.term, why });
    refuseReads(core);
    core.transfer = null;
    core.progress = new Map();
    core.heartbeatDue = core.quorumCheckDue = Infinity;
    core.resetElectionTimer();
  }
  if (term > core.term) core.enterTerm(term, null);
  core.setRole('follower', leader);
}

/** A message of the term's leader came: candidates give up (paper, section 5.2), and the election timer starts again. */
export function followLeader(core: Core, message: Append | Heartbeat | SnapshotChunk): void {
  assert(core.role !== 'leader', `one leader in term ${core.term}: ${core.id}, not ${message.from} (paper, section 5.2, election safety)`);
  if (core.role !== 'follower' || core.leader !== message.from) core.setRole('follower', message.from);
  core.leaderSeenAt = core.now;
  core.resetElectionTimer();
}

/** Nobody knows what the disk holds any more: promise nothing, hold nobody up. A leader names a successor first. */
export function retireFailed(core: Core): void {
  if (core.role === 'leader') succeed(core);
  stepDown(core, core.term, null, 'disk-failed');
  core.setRole('failed', null);
  core.electionDue = Infinity;
  core.held = [];
}
