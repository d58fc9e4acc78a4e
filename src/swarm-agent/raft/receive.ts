/** What a message means by its term and by its kind (paper, section 5.1 and figure 2, "Rules for Servers"). */
import type { Core } from './core.ts';
import { onPreVote, onPreVoteReply, onTimeoutNow, onVote, onVoteReply } from './election.ts';
import { onAppend } from './follower.ts';
import { onHeartbeat } from './heartbeat.ts';
import { onAppendReply, onHeartbeatReply, onSnapshotReply } from './replication.ts';
import { followLeader, stepDown } from './role.ts';
import { onSnapshotChunk } from './snapshot-receive.ts';
import type { Message } from './types.ts';

export function receive(core: Core, message: Message): void {
  if (core.role === 'failed' || message.to !== core.id) return;
  // Questions for votes judge the term themselves: a live leader makes it irrelevant (thesis, 4.2.3 and 9.6).
  if (message.type === 'pre-vote') return onPreVote(core, message);
  if (message.type === 'vote') return onVote(core, message);
  if (message.term > core.term) stepDown(core, message.term, null, 'higher-term');
  // A granted pre-vote carries the voter's own, often lower term; the term that was asked about decides whether it is fresh.
  if (message.type !== 'pre-vote-reply' && core.rules.isStale(message, core.term)) return answerStale(core, message);
  dispatch(core, message);
}

function dispatch(core: Core, message: Exclude<Message, { type: 'pre-vote' | 'vote' }>): void {
  switch (message.type) {
    case 'append':
      followLeader(core, message);
      return onAppend(core, message);
    case 'heartbeat':
      followLeader(core, message);
      return onHeartbeat(core, message);
    case 'snapshot':
      followLeader(core, message);
      return onSnapshotChunk(core, message);
    case 'append-reply':
      return onAppendReply(core, message);
    case 'heartbeat-reply':
      return onHeartbeatReply(core, message);
    case 'snapshot-reply':
      return onSnapshotReply(core, message);
    case 'pre-vote-reply':
      return onPreVoteReply(core, message);
    case 'vote-reply':
      return onVoteReply(core, message);
    case 'timeout-now':
      return onTimeoutNow(core, message);
  }
}

/** A leader of an older term is told so, or it would go on for ever unheard; all else of an older term is dropped. */
function answerStale(core: Core, { type, from: to }: Message): void {
  if (type !== 'append' && type !== 'heartbeat' && type !== 'snapshot') return;
  core.send({ type: 'append-reply', from: core.id, to, term: core.term, ok: false, index: 0, conflictTerm: 0, conflictIndex: 0 });
}
