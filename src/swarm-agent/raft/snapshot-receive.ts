/** Receiving a snapshot in pieces and putting it in force (paper, section 7, figure 13), and taking one of our own. */
import type { Core } from './core.ts';
import type { SnapshotChunk, SnapshotMeta, SnapshotPoint } from './types.ts';

/** A piece came, or the question how much is here. Pieces are taken in order, one at a time; any other answer tells the leader where to go on. */
export function onSnapshotChunk(core: Core, chunk: SnapshotChunk): void {
  const { meta } = chunk;
  if (!core.rules.installs(meta.index, core.commit)) return answer(core, meta, meta.size, true);
  if (core.log.term(meta.index) === meta.term) {
    // All it covers is in our log: no need for it (figure 13, step 6).
    core.commitTo(meta.index);
    return answer(core, meta, meta.size, true);
  }
  const incoming = receiving(core, meta);
  if (incoming.writing) return;
  const isQuestion = chunk.data.length === 0 && !chunk.last;
  if (isQuestion || chunk.offset !== incoming.received) return answer(core, meta, incoming.received, false);
  incoming.writing = true;
  core.effects.snapshotWrites.push({ meta, offset: chunk.offset, data: chunk.data, last: chunk.last });
}

/** The transfer `meta` belongs to: the one under way, one cut earlier, or a new one. */
function receiving(core: Core, meta: SnapshotMeta): NonNullable<Core['incoming']> {
  if (core.incoming?.meta.digest === meta.digest && core.incoming.meta.index === meta.index) return core.incoming;
  const received = core.partial?.digest === meta.digest ? core.partial.bytes : 0;
  core.partial = null;
  core.event({ what: 'snapshot-receiving', index: meta.index, offset: received });
  return (core.incoming = { meta, received, writing: false });
}

/** `bytes` of it are aside. */
export function onSnapshotWritten(core: Core, meta: SnapshotMeta, bytes: number): void {
  const { incoming } = core;
  if (incoming === null || incoming.meta.digest !== meta.digest || !incoming.writing) return;
  incoming.writing = false;
  incoming.received = bytes;
  answer(core, meta, bytes, false);
}

/** The whole of it is durable under its name, or was damaged: then again from the beginning. */
export function onSnapshotStored(core: Core, meta: SnapshotMeta, ok: boolean): void {
  if (core.incoming?.meta.digest !== meta.digest) return;
  core.incoming = null;
  if (!ok) return answer(core, meta, 0, false);
  if (core.rules.installs(meta.index, core.commit)) install(core, meta);
  answer(core, meta, meta.size, true);
}

/** Figure 13, steps 5 to 8: the log gives way unless it holds the snapshot's last entry; then the state machine and the membership are the snapshot's. */
function install(core: Core, meta: SnapshotMeta): void {
  core.snapshot = meta;
  core.snapshotAsked = false;
  core.bytesSinceSnapshot = 0;
  core.event({ what: 'snapshot-installed', index: meta.index, offset: meta.size });
  if (core.log.term(meta.index) === meta.term) return core.commitTo(meta.index);
  core.log.reset(meta.index, meta.term);
  for (const write of core.writes) write.last = Math.min(write.last, meta.index);
  core.resetDue = { index: meta.index, term: meta.term };
  core.commit = core.applying = meta.index;
  core.effects.restore = meta;
  core.memberships.replace(meta.index, core.rules.restoresMembership() ? meta.membership : core.membership);
  core.takeMembership();
}

function answer(core: Core, { digest, index }: SnapshotMeta, next: number, done: boolean): void {
  if (core.leader === null || core.role !== 'follower') return;
  core.send({
    type: 'snapshot-reply', from: core.id, to: core.leader, term: core.term, digest, next, done, index: done ? Math.max(index, core.commit) : 0,
  });
}

/** Whether enough was applied since the last snapshot for another. */
export function checkSnapshotDue(core: Core): void {
  if (core.snapshotAsked || core.role === 'failed') return;
  const entries = core.applied - (core.snapshot?.index ?? 0);
  core.snapshotDue = entries >= core.config.snapshotEntries || (entries > 0 && core.bytesSinceSnapshot >= core.config.snapshotBytes);
}

/** Asks for a snapshot of the state machine as it is now, with the membership as of that index; null: not now. */
export function wantSnapshot(core: Core): SnapshotPoint | null {
  if (!core.snapshotDue || core.applied !== core.applying) return null;
  core.snapshotDue = false;
  core.snapshotAsked = true;
  core.bytesSinceSnapshot = 0;
  return { index: core.applied, term: core.log.term(core.applied)!, membership: core.memberships.asOf(core.applied) };
}

/** Our own snapshot is durable: the log before it may go, but for what followers a little behind may still ask for (paper, section 7). */
export function onSnapshotTaken(core: Core, meta: SnapshotMeta | null): void {
  core.snapshotAsked = false;
  if (meta === null || meta.index <= (core.snapshot?.index ?? 0)) return;
  core.snapshot = meta;
  core.memberships.prune(meta.index);
  const compacted = Math.max(core.log.compacted, meta.index - core.config.trailingEntries);
  if (compacted === core.log.compacted) return;
  core.log.compacted = compacted;
  core.effects.compact = compacted + 1;
}
