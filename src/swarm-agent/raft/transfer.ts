/**
 * Handing leadership over (thesis, 3.10): stop taking proposals, wait until everything is committed and the successor has it all, then tell it
 * to campaign at once. Waiting for the commit as well costs a round trip and leaves no proposal with an unknown outcome.
 */
import type { Core } from './core.ts';
import type { Progress } from './progress.ts';
import type { MemberId, Refusal } from './types.ts';

/** Begins a transfer to `target` (null: to the best voter). Gives the successor, or why there is none. */
export function beginTransfer(core: Core, target: MemberId | null): { to: MemberId } | { why: Refusal } {
  if (core.role !== 'leader') return { why: 'not-leader' };
  if (core.transfer !== null) return { why: 'transferring' };
  const successor = target === null ? bestSuccessor(core) : core.progress.get(target);
  if (successor === undefined || !successor.voter) return { why: 'no-successor' };
  core.transfer = { to: successor.id, due: core.now + 2 * core.timing.electionMs, sent: false };
  core.event({ what: 'transfer', to: successor.id, state: 'begun' });
  continueTransfer(core);
  return { to: successor.id };
}

/** Tells the successor, as soon as it has everything. */
export function continueTransfer(core: Core): void {
  const { transfer, log } = core;
  if (transfer === null || transfer.sent) return;
  const successor = core.progress.get(transfer.to);
  if (successor === undefined) return giveUpTransfer(core);
  if (successor.match < log.lastIndex || core.commit < log.lastIndex) return;
  transfer.sent = true;
  timeoutNow(core, transfer.to);
}

/** The successor did not take over in time: lead on. */
export function giveUpTransfer(core: Core): void {
  if (core.transfer !== null) core.event({ what: 'transfer', to: core.transfer.to, state: 'given-up' });
  core.transfer = null;
}

/** A leader that must go names the best successor without waiting for anything. */
export function succeed(core: Core): void {
  const successor = bestSuccessor(core);
  if (successor !== undefined) timeoutNow(core, successor.id);
}

function timeoutNow(core: Core, to: MemberId): void {
  core.event({ what: 'transfer', to, state: 'sent' });
  core.send({ type: 'timeout-now', from: core.id, to, term: core.term });
}

/** The voter that is furthest among those heard lately. */
function bestSuccessor(core: Core): Progress | undefined {
  const since = core.now - 2 * core.timing.electionMs;
  let best: Progress | undefined;
  for (const progress of core.progress.values()) {
    if (!progress.voter || (progress.lastContact ?? -Infinity) < since) continue;
    if (best === undefined || progress.match > best.match) best = progress;
  }
  return best;
}
