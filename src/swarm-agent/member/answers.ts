/** Who waits for what: writes by the log position of their entry, reads by their number. Every one is answered exactly once. */
import { BeltError } from '../../errors.ts';
import type { Entry, LogIndex, Lost, MemberId, Refusal, Term } from '../raft/types.ts';
import type { WriteResult } from '../store/records.ts';

/** One that waits. */
export interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: BeltError) => void;
}

interface WaitingWrite extends Waiting<number> {
  readonly term: Term;
}

/** Why a write or read was refused before anything happened, and where to go instead. */
export function refusal(why: Refusal, leader: MemberId | null): BeltError {
  const elsewhere = leader === null ? 'no leader is known yet' : `${leader} leads`;
  switch (why) {
    case 'not-leader': return new BeltError('no_quorum', `this manager does not lead, ${elsewhere}`, { machine: leader ?? undefined });
    case 'transferring': return new BeltError('no_quorum', 'leadership is being handed over', { retryAfterMs: 100 });
    case 'overloaded': return new BeltError('refused', 'too many writes are under way', { retryable: true, retryAfterMs: 50, next: 'try again in a moment' });
    case 'too-large': return new BeltError('bad_request', 'the write is larger than one entry of the log may be');
    case 'change-pending': return new BeltError('refused', 'the change of managers before this one is not done yet', { retryable: true, retryAfterMs: 100 });
    case 'not-caught-up': return new BeltError('refused', 'the new manager has not caught up with the log yet', { retryable: true, retryAfterMs: 500 });
    case 'no-such-change': return new BeltError('refused', 'the change does not fit the managers there are');
    case 'no-successor': return new BeltError('refused', 'no other manager can take over the lead', { retryable: true, retryAfterMs: 500 });
  }
}

const unknown = (why: string): BeltError => new BeltError('outcome_unknown', `${why}; the write may or may not have been kept`, { next: 'repeat it: a repeat is harmless' });

export class Answers {
  readonly #writes = new Map<LogIndex, WaitingWrite>();
  readonly #reads = new Map<number, Waiting<void>>();
  #lastRead = 0;

  /** Writes that wait. */
  get writes(): number {
    return this.#writes.size;
  }

  /** A write was appended at (index, term). */
  expectWrite(index: LogIndex, term: Term, { resolve, reject }: Waiting<number>): void {
    this.#writes.set(index, { term, resolve, reject });
  }

  /** A number for a new read. */
  expectRead(waiting: Waiting<void>): number {
    this.#reads.set(++this.#lastRead, waiting);
    return this.#lastRead;
  }

  /** An entry was applied, with this result: it answers the write that was appended there, if it is the same entry. */
  applied({ index, term }: Entry, result: WriteResult): void {
    const write = this.#writes.get(index);
    if (write === undefined) return;
    this.#writes.delete(index);
    if (write.term !== term) write.reject(unknown('leadership was lost'));
    else if (result.ok) write.resolve(result.revision);
    // The state's own word on a repeat that is too old will be the same the next time.
    else write.reject(new BeltError(result.code, result.message, { retryable: false }));
  }

  /** Leadership of `term` is over: what it appended above `after` has an unknown outcome. */
  lost({ term, after }: Lost): void {
    for (const [index, write] of this.#writes) {
      if (write.term > term || index <= after) continue;
      this.#writes.delete(index);
      write.reject(unknown('leadership was lost'));
    }
  }

  /** A snapshot took the place of all entries up to `index`. */
  overtaken(index: LogIndex): void {
    for (const [at, write] of this.#writes) {
      if (at > index) continue;
      this.#writes.delete(at);
      write.reject(unknown('leadership was lost'));
    }
  }

  read(id: number, ok: boolean): void {
    const read = this.#reads.get(id);
    this.#reads.delete(id);
    if (ok) read?.resolve();
    else read?.reject(refusal('not-leader', null));
  }

  /** This member stops: nothing more will be answered by it. */
  close(why: string): void {
    for (const write of this.#writes.values()) write.reject(unknown(why));
    for (const read of this.#reads.values()) read.reject(new BeltError('no_quorum', why));
    this.#writes.clear();
    this.#reads.clear();
  }
}
