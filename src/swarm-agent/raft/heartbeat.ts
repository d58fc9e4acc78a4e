/**
 * Heartbeats (paper, section 5.2): they hold the followers' loyalty, carry the commit index to those who have nothing else to receive, confirm
 * read rounds and measure round trips.
 */
import type { Core } from './core.ts';
import type { Heartbeat, HeartbeatReply } from './types.ts';

/** To every member: I lead, so much is committed, answer to the newest read round. */
export function broadcastHeartbeat(core: Core): void {
  core.heartbeatDue = core.now + core.timing.heartbeatMs;
  const { term, id: from, timing, now: sentAt, reads } = core;
  for (const { id: to, match } of core.progress.values()) {
    const commit = core.rules.heartbeatCommit(core.commit, match);
    core.send({ type: 'heartbeat', from, to, term, commit, round: reads.lastRound, sentAt, electionMs: timing.electionMs });
  }
}

export function onHeartbeat(core: Core, heartbeat: Heartbeat): void {
  core.timing.told(heartbeat.electionMs);
  core.commitTo(heartbeat.commit);
  core.send({ type: 'heartbeat-reply', from: core.id, to: heartbeat.from, term: core.term, round: heartbeat.round, sentAt: heartbeat.sentAt });
}

/** The round trip of a reply feeds the timeouts. */
export function measure(core: Core, reply: HeartbeatReply): void {
  if (!core.timing.measured(reply.from, reply.sentAt, core.now)) return;
  core.event({ what: 'timeouts', heartbeatMs: core.timing.heartbeatMs, electionMs: core.timing.electionMs });
}
