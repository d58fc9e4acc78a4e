/**
 * Sending a snapshot to a follower whose next entry is gone (paper, section 7, figure 13), in pieces. The follower says where to go on, so a
 * transfer that was cut, by a crash of either side or a change of leader, goes on where it stopped.
 */
import { assert } from '../../errors.ts';
import type { Core } from './core.ts';
import type { Progress } from './progress.ts';
import type { MemberId, SnapshotMeta, SnapshotReply } from './types.ts';

const EMPTY = new Uint8Array(0);

/** Offers the newest snapshot. */
export function beginSnapshot(core: Core, progress: Progress): void {
  const meta = core.snapshot;
  assert(meta !== null, 'what the log has dropped is in a snapshot');
  progress.sendSnapshot({ meta, offset: 0, waitsFor: 'answer', asked: true, sentAt: core.now });
  core.event({ what: 'snapshot-sending', to: progress.id, index: meta.index, offset: 0 });
  sendChunk(core, progress.id, meta, 0, EMPTY, false);
}

/** The follower wants the piece at `reply.next`: have it read. */
export function continueSnapshot(core: Core, progress: Progress, reply: SnapshotReply): void {
  const transfer = progress.snapshot;
  if (transfer === null || transfer.waitsFor !== 'answer' || transfer.meta.digest !== reply.digest) return;
  // A late or doubled answer must not start a second stream beside the first.
  if (!transfer.asked && reply.next <= transfer.offset && reply.next > 0) return;
  transfer.offset = reply.next;
  transfer.waitsFor = 'disk';
  transfer.asked = false;
  core.effects.snapshotReads.push({ to: progress.id, meta: transfer.meta, offset: reply.next, bytesMax: core.config.snapshotChunkBytes });
}

/** The piece has been read; null: that snapshot is gone, so begin with the one that took its place. */
export function onSnapshotRead(core: Core, to: MemberId, meta: SnapshotMeta, offset: number, data: Uint8Array | null): void {
  const progress = core.progress.get(to);
  const transfer = progress?.snapshot;
  if (core.role !== 'leader' || progress === undefined || !transfer || transfer.waitsFor !== 'disk' || transfer.offset !== offset) return;
  if (data === null || transfer.meta.digest !== meta.digest) return beginSnapshot(core, progress);
  transfer.waitsFor = 'answer';
  transfer.sentAt = core.now;
  sendChunk(core, to, meta, offset, data, offset + data.length >= meta.size);
}

/** The follower lives but has not answered for long: ask how far it is. */
export function nudgeSnapshot(core: Core, progress: Progress): void {
  const transfer = progress.snapshot;
  if (transfer === null || transfer.waitsFor !== 'answer' || core.now - transfer.sentAt < 2 * core.timing.electionMs) return;
  transfer.sentAt = core.now;
  transfer.asked = true;
  sendChunk(core, progress.id, transfer.meta, 0, EMPTY, false);
}

function sendChunk(core: Core, to: MemberId, meta: SnapshotMeta, offset: number, data: Uint8Array, last: boolean): void {
  core.send({ type: 'snapshot', from: core.id, to, term: core.term, meta, offset, data, last });
}
