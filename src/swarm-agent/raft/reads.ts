/**
 * Linearizable reads without the log (paper, section 8; thesis, 6.4). The leader notes its commit index, proves with a round of heartbeats that it still
 * leads, and answers when its state machine has come that far. All reads that come while a round is under way share the next. No clock is trusted.
 */
import type { Core } from './core.ts';
import { broadcastHeartbeat } from './heartbeat.ts';

/** Puts a read in the queue; false: the queue is full. */
export function enqueueRead(core: Core, id: number): boolean {
  if (core.reads.count >= core.config.readsMax) return false;
  core.reads.count += 1;
  core.reads.waiting.push(id);
  return true;
}

/** Whether a round could begin: none is under way, somebody waits, and this leader knows what is committed. */
export function roundDue({ role, reads, rules, commitTerm, term }: Core): boolean {
  return role === 'leader' && reads.round === null && reads.waiting.length > 0 && rules.mayRead(commitTerm, term);
}

/** Begins a round for all that wait. The commit index is noted first: whatever was acknowledged before any of them came is below it. */
export function beginRound(core: Core): void {
  const { reads } = core;
  reads.round = { number: ++reads.lastRound, index: core.commit, ids: reads.waiting };
  reads.waiting = [];
  broadcastHeartbeat(core);
  confirmReads(core);
}

/** A majority has answered the round: nobody else can have led when it began. */
export function confirmReads(core: Core): void {
  const { reads, progress, id: self } = core;
  const { round } = reads;
  if (round === null) return;
  const heard = core.countVoters((id) => id === self || (progress.get(id)?.round ?? 0) >= round.number);
  if (!core.rules.readConfirmed(heard, core.majority)) return;
  reads.confirmed.push({ index: round.index, ids: round.ids });
  reads.round = null;
  answerReads(core);
}

/** Hands out the confirmed reads the state machine has come up to. */
export function answerReads(core: Core): void {
  const { reads } = core;
  while (reads.confirmed.length > 0 && core.rules.mayAnswer(core.applied, reads.confirmed[0]!.index)) settle(core, reads.confirmed.shift()!.ids, true);
}

/** Leadership is lost: whatever is not answered yet is refused. */
export function refuseReads(core: Core): void {
  const { reads } = core;
  settle(core, reads.waiting, false);
  if (reads.round !== null) settle(core, reads.round.ids, false);
  for (const { ids } of reads.confirmed) settle(core, ids, false);
  reads.waiting = [];
  reads.round = null;
  reads.confirmed = [];
}

function settle(core: Core, ids: readonly number[], ok: boolean): void {
  for (const id of ids) core.effects.reads.push({ id, ok });
  core.reads.count -= ids.length;
}
