/** What Raft knows, for `belt swarm status` and metrics. */
import type { Core } from './core.ts';
import type { Progress } from './progress.ts';
import { hasCaughtUp } from './propose.ts';
import type { PeerStatus, RaftStatus } from './types.ts';

export function statusOf(core: Core): RaftStatus {
  const { id, role, term, leader, membership, commit, applied, log, timing } = core;
  return {
    id, role, term, leader, membership, commit, applied,
    durable: log.durable,
    firstIndex: log.compacted + 1,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    snapshotIndex: core.snapshot?.index ?? 0,
    heartbeatMs: timing.heartbeatMs,
    electionMs: timing.electionMs,
    peers: [...core.progress.values()].map((progress) => peerStatus(core, progress)),
  };
}

function peerStatus(core: Core, progress: Progress): PeerStatus {
  const { id, voter, match, state, lastContact } = progress;
  return {
    id, voter, match, state,
    lag: core.log.lastIndex - match,
    rttMs: core.timing.rtt(id),
    lastContactMs: lastContact === null ? null : core.now - lastContact,
    caughtUp: hasCaughtUp(core, progress),
  };
}
