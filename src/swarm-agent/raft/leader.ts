/**
 * Becoming a leader and staying one. A leader that has not heard a majority for two election timeouts steps down (thesis, 6.2): its clients learn
 * soon that it cannot serve them.
 */
import type { Core } from './core.ts';
import { broadcastHeartbeat } from './heartbeat.ts';
import { advanceCommit } from './replication.ts';
import { stepDown } from './role.ts';
import { giveUpTransfer } from './transfer.ts';
import type { MemberId } from './types.ts';

const EMPTY = new Uint8Array(0);

/** Elected: tell everybody at once, and append an empty entry, for only an entry of this term can be committed by counting (paper, sections 5.2, 5.4.2, 8). */
export function becomeLeader(core: Core): void {
  core.setRole('leader', core.id);
  core.event({ what: 'elected', term: core.term });
  core.electionDue = Infinity;
  core.quorumCheckDue = core.now + 2 * core.timing.electionMs;
  core.progress = new Map();
  core.uncommittedBytes = 0;
  core.followMembership();
  core.append([{ index: core.log.lastIndex + 1, term: core.term, kind: 'noop', data: EMPTY }]);
  broadcastHeartbeat(core);
  advanceCommit(core);
}

/** Time passed at a leader. */
export function leaderTick(core: Core): void {
  if (core.transfer !== null && core.now >= core.transfer.due) giveUpTransfer(core);
  if (core.now >= core.quorumCheckDue && !quorumHeard(core)) return stepDown(core, core.term, null, 'no-quorum-contact');
  if (core.now >= core.heartbeatDue) broadcastHeartbeat(core);
}

/** Whether a majority was heard lately; sets the time to look again. */
function quorumHeard(core: Core): boolean {
  const since = core.now - 2 * core.timing.electionMs;
  const heard = (id: MemberId): boolean => id === core.id || (core.progress.get(id)?.lastContact ?? -Infinity) >= since;
  core.quorumCheckDue = core.now + core.timing.electionMs;
  return core.countVoters(heard) >= core.majority;
}
