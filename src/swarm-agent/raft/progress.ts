/**
 * What the leader knows of one follower, and how much it may have under way to it. Probing sends one message at a time until the logs are known
 * to meet; replicating sends ahead of the answers (thesis, 10.2.1) within a window of messages and bytes; while a snapshot is on its way nothing else goes.
 */
import type { LogIndex, MemberId, Millis, SnapshotMeta } from './types.ts';

/** A snapshot on its way to a follower. */
export interface SnapshotTransfer {
  meta: SnapshotMeta;
  /** Where the follower wants to go on. */
  offset: number;
  /** Reading the next piece from our disk, or waiting for the follower's answer. */
  waitsFor: 'disk' | 'answer';
  /** The last message asked how far the follower is, so any answer is a fresh one. */
  asked: boolean;
  sentAt: Millis;
}

/** How a learner catches up, in rounds (thesis, 4.2.1): each ends with what the leader's log held when it began. */
export interface CatchUp {
  roundEnd: LogIndex;
  roundBegan: Millis;
  /** The last round took less than an election timeout, so promoting the member makes no gap in availability. */
  done: boolean;
}

export class Progress {
  readonly id: MemberId;
  voter: boolean;
  /** Known to be equal up to here, on the follower's disk (paper, figure 2: matchIndex). */
  match: LogIndex = 0;
  /** What is sent next (paper, figure 2: nextIndex). */
  next: LogIndex;
  state: 'probe' | 'replicate' | 'snapshot' = 'probe';
  /** Probing: a message is out and not answered, since `probedAt`. */
  probing = false;
  probedAt: Millis = 0;
  /** Entries are being read from disk for it. */
  reading = false;
  snapshot: SnapshotTransfer | null = null;
  /** When it was last heard in this term; null: never. */
  lastContact: Millis | null = null;
  /** The newest read round it has confirmed. */
  round = 0;
  catchUp: CatchUp | null = null;
  /** Appends under way, oldest first: the last index and the bytes of each. */
  private inflight: { readonly last: LogIndex; readonly bytes: number }[] = [];
  private inflightBytes = 0;

  constructor(id: MemberId, voter: boolean, next: LogIndex) {
    this.id = id;
    this.voter = voter;
    this.next = next;
  }

  /** Whether an append may go now. */
  maySend(messagesMax: number, bytesMax: number): boolean {
    if (this.reading || this.state === 'snapshot') return false;
    if (this.state === 'probe') return !this.probing;
    return this.inflight.length < messagesMax && this.inflightBytes < bytesMax;
  }

  /** An append that ends at `last` went out. */
  sent(last: LogIndex, bytes: number, now: Millis): void {
    if (this.state === 'probe') {
      this.probing = true;
      this.probedAt = now;
      return;
    }
    this.next = last + 1;
    this.inflight.push({ last, bytes });
    this.inflightBytes += bytes;
  }

  /** The follower has everything up to `index`. Tells whether that is news. */
  acknowledged(index: LogIndex): boolean {
    let answered = 0;
    while (answered < this.inflight.length && this.inflight[answered]!.last <= index) this.inflightBytes -= this.inflight[answered++]!.bytes;
    if (answered > 0) this.inflight.splice(0, answered);
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    return true;
  }

  /** Back to one message at a time, from `next`. */
  probe(next: LogIndex): void {
    this.state = 'probe';
    this.next = Math.max(next, this.match + 1);
    this.clear();
  }

  /** The logs meet at `match`: send ahead. */
  replicate(): void {
    this.state = 'replicate';
    this.next = this.match + 1;
    this.clear();
  }

  sendSnapshot(transfer: SnapshotTransfer): void {
    this.state = 'snapshot';
    this.clear();
    this.snapshot = transfer;
  }

  private clear(): void {
    this.probing = this.reading = false;
    this.snapshot = null;
    this.inflight = [];
    this.inflightBytes = 0;
  }
}
