/**
 * Who leads (paper, section 5.2 and 5.4.1; thesis, 3.4, 4.2.3, 9.6). A member whose timer ran out first asks whether it *would* be elected (pre-vote),
 * and only then begins a term; so one that was cut off or removed comes back without raising anybody's term. Voters that hear a live leader refuse both questions.
 */
import type { Core } from './core.ts';
import { becomeLeader } from './leader.ts';
import { stepDown } from './role.ts';
import type { MemberId, PreVote, PreVoteReply, TimeoutNow, VoteReason, VoteReply, VoteRequest } from './types.ts';

/** The election timer ran out. */
export function electionTimeout(core: Core): void {
  core.resetElectionTimer();
  if (core.isVoter) preCampaign(core);
}

/** Asks all voters whether they would vote for this member in the next term. No state changes on any disk. */
function preCampaign(core: Core): void {
  core.setRole('pre-candidate', null);
  core.votes = new Map([[core.id, true]]);
  core.event({ what: 'pre-campaign', term: core.term + 1 });
  const { index: lastIndex, term: lastTerm } = core.last;
  for (const to of core.voters) {
    if (to !== core.id) core.send({ type: 'pre-vote', from: core.id, to, term: core.term + 1, lastIndex, lastTerm, sentAt: core.now });
  }
  tally(core);
}

/** Begins a term and asks for votes (paper, section 5.2). The requests wait until our own vote is on disk, or after a crash we might vote twice. */
export function campaign(core: Core, transfer: boolean): void {
  core.enterTerm(core.term + 1, core.id);
  core.setRole('candidate', null);
  core.votes = new Map();
  core.resetElectionTimer();
  core.event({ what: 'campaign', term: core.term });
  const { index: lastIndex, term: lastTerm } = core.last;
  for (const to of core.voters) {
    if (to !== core.id) core.send({ type: 'vote', from: core.id, to, term: core.term, lastIndex, lastTerm, transfer });
  }
}

/** The candidate's vote for itself counts like any other: once it is durable. */
export function countOwnVote(core: Core): void {
  if (core.role !== 'candidate' || core.durableVote.term !== core.term || core.durableVote.votedFor !== core.id) return;
  core.votes.set(core.id, true);
  tally(core);
}

function tally(core: Core): void {
  if (core.countVoters((id) => core.votes.get(id) === true) >= core.majority) {
    if (core.role === 'pre-candidate') campaign(core, false);
    else becomeLeader(core);
    return;
  }
  const refused = core.countVoters((id) => core.votes.get(id) === false);
  // Lost for certain: wait as a follower, with the timer as it was drawn.
  if (refused > core.voters.length - core.majority) core.setRole('follower', null);
}

/** Answers "would you vote for me?" (thesis, 9.6) by the rules of a real vote, and forgets the question. */
export function onPreVote(core: Core, asked: PreVote): void {
  const why = asked.term > core.term ? judge(core, asked, null) : asked.term === core.term ? judge(core, asked, core.votedFor) : 'old-term';
  report(core, asked, why);
  core.send({ type: 'pre-vote-reply', from: core.id, to: asked.from, term: core.term, granted: why === 'granted', asked: asked.term, sentAt: asked.sentAt });
}

export function onPreVoteReply(core: Core, reply: PreVoteReply): void {
  core.timing.measured(reply.from, reply.sentAt, core.now);
  if (core.role !== 'pre-candidate' || reply.asked !== core.term + 1) return;
  core.votes.set(reply.from, reply.granted);
  tally(core);
}

/**
 * RequestVote (paper, figure 2). While a leader is alive the request is not even looked at, so that its term disturbs nobody (thesis, 4.2.3),
 * unless that leader asked for the election itself.
 */
export function onVote(core: Core, request: VoteRequest): void {
  if (!request.transfer && core.hasLiveLeader() && request.term > core.term) return report(core, request, 'leader-alive');
  if (request.term > core.term) stepDown(core, request.term, null, 'higher-term');
  const why = request.term < core.term ? 'old-term' : judge(core, request, core.votedFor);
  if (why === 'granted') {
    if (core.votedFor !== request.from) core.voteChanged = true;
    core.votedFor = request.from;
    core.resetElectionTimer();
  }
  report(core, request, why);
  core.send({ type: 'vote-reply', from: core.id, to: request.from, term: core.term, granted: why === 'granted' });
}

/** What a voter that has voted for `votedFor` in the term in question says. */
function judge(core: Core, request: PreVote | VoteRequest, votedFor: MemberId | null): VoteReason {
  if (request.type === 'pre-vote' && core.hasLiveLeader()) return 'leader-alive';
  if (!core.rules.mayVoteFor(votedFor, request.from)) return 'voted-for-other';
  return core.rules.isUpToDate({ index: request.lastIndex, term: request.lastTerm }, core.last) ? 'granted' : 'log-behind';
}

function report(core: Core, request: PreVote | VoteRequest, why: VoteReason): void {
  core.event({ what: request.type, term: request.term, candidate: request.from, granted: why === 'granted', why });
}

export function onVoteReply(core: Core, reply: VoteReply): void {
  if (core.role !== 'candidate') return;
  core.votes.set(reply.from, reply.granted);
  tally(core);
}

/** The leader hands over (thesis, 3.10): campaign at once, without a pre-vote, as the leader is alive and would be in the way of it. */
export function onTimeoutNow(core: Core, message: TimeoutNow): void {
  if (core.isVoter && core.leader === message.from) campaign(core, true);
}
