/**
 * Watches every step of every member from outside and throws at the first breach of one of Raft's properties (paper, figure 3). It sees writes, roles
 * and applied entries; it never asks the core what it believes.
 */
import type { Entry, LogIndex, MemberId, Persist, PersistentState, Term } from '../../src/swarm-agent/raft/types.ts';

/** A property does not hold. */
export class Violation extends Error {
  readonly property: string;
  constructor(property: string, what: string) {
    super(`${property}: ${what}`);
    this.name = 'Violation';
    this.property = property;
  }
}

/** What a member has handed to its disk: the terms of its entries. */
interface Shadow {
  base: LogIndex;
  baseTerm: Term;
  terms: Term[];
}

interface Known {
  readonly print: string | number;
  readonly previousTerm: Term;
}

export class Checker {
  private readonly leaders = new Map<Term, MemberId>();
  private readonly shadows = new Map<MemberId, Shadow>();
  /** Every entry ever written anywhere, by index and term. */
  private readonly known = new Map<number, Known>();
  /** What was applied at each index, by whoever was first. */
  private readonly committed: { readonly term: Term; readonly print: string | number; readonly by: Term }[] = [];
  private readonly applied = new Map<MemberId, LogIndex>();
  private readonly hashes: number[] = [];
  /** How many terms had a leader. */
  get elections(): number { return this.leaders.size; }

  /** A member starts from what its disk holds. */
  started(id: MemberId, { snapshot, entries }: PersistentState): void {
    const first = entries[0];
    const shadow: Shadow = { base: snapshot?.index ?? 0, baseTerm: snapshot?.term ?? 0, terms: [] };
    // Entries before the snapshot's end are of no interest, and neither are those a newer snapshot has overtaken.
    if (first !== undefined && entries[shadow.base - first.index]?.term !== shadow.baseTerm && first.index <= shadow.base) this.shadows.set(id, shadow);
    else {
      this.shadows.set(id, shadow);
      for (const entry of entries) if (entry.index > shadow.base) this.takeEntry(id, shadow, entry);
    }
    this.applied.set(id, shadow.base);
  }

  /** A member hands a write to its disk: log matching. */
  persist(id: MemberId, { reset, entries }: Persist): void {
    const shadow = this.shadows.get(id)!;
    if (reset !== null) Object.assign(shadow, { base: reset.index, baseTerm: reset.term, terms: [] });
    if (entries.length > 0) shadow.terms.length = Math.max(0, entries[0]!.index - shadow.base - 1);
    for (const entry of entries) this.takeEntry(id, shadow, entry);
  }

  private takeEntry(id: MemberId, shadow: Shadow, entry: Entry): void {
    const previousTerm = shadow.terms.at(-1) ?? shadow.baseTerm;
    if (entry.index !== shadow.base + shadow.terms.length + 1) throw new Violation('log continuity', `${id} writes entry ${entry.index} behind ${shadow.base + shadow.terms.length}`);
    shadow.terms.push(entry.term);
    const key = entry.index * 1_000_000 + entry.term;
    const known = this.known.get(key);
    const print = fingerprint(entry);
    if (known === undefined) this.known.set(key, { print, previousTerm });
    else if (known.print !== print || known.previousTerm !== previousTerm) {
      throw new Violation('log matching', `entry ${entry.index} of term ${entry.term} at ${id} is ${print} behind term ${previousTerm}, elsewhere ${known.print} behind term ${known.previousTerm}`);
    }
  }

  /** A member became leader: election safety and leader completeness. */
  elected(id: MemberId, term: Term): void {
    const other = this.leaders.get(term);
    if (other !== undefined && other !== id) throw new Violation('election safety', `${other} and ${id} both lead term ${term}`);
    this.leaders.set(term, id);
    let last = this.committed.length - 1;
    // What a later leader committed need not be in the log of one elected, late but lawfully, in a term before.
    while (last > 0 && this.committed[last]!.by >= term) last -= 1;
    const shadow = this.shadows.get(id)!;
    if (last <= shadow.base) return;
    const own = shadow.terms[last - shadow.base - 1];
    if (own !== this.committed[last]!.term) throw new Violation('leader completeness', `${id} leads term ${term} without entry ${last} of term ${this.committed[last]!.term}`);
  }

  /** A member in term `by` applied an entry: state-machine safety. `hash` is its state after it. */
  apply(id: MemberId, entry: Entry, hash: number, by: Term): void {
    const before = this.applied.get(id)!;
    if (entry.index !== before + 1) throw new Violation('order of application', `${id} applies ${entry.index} after ${before}`);
    this.applied.set(id, entry.index);
    const print = fingerprint(entry);
    const first = this.committed[entry.index];
    if (first === undefined) this.committed[entry.index] = { term: entry.term, print, by };
    else if (first.term !== entry.term || first.print !== print) {
      throw new Violation('state-machine safety', `${id} applies ${print} of term ${entry.term} at ${entry.index}, another applied ${first.print} of term ${first.term}`);
    }
    this.sameState(id, entry.index, hash);
  }

  /** A member took over a snapshot's state. */
  restored(id: MemberId, index: LogIndex, hash: number): void {
    if (index < this.applied.get(id)!) throw new Violation('order of application', `${id} goes back from ${this.applied.get(id)} to the snapshot at ${index}`);
    this.applied.set(id, index);
    this.sameState(id, index, hash);
  }

  private sameState(id: MemberId, index: LogIndex, hash: number): void {
    const known = (this.hashes[index] ??= hash);
    if (known !== hash) throw new Violation('state-machine safety', `the state of ${id} at ${index} is ${hash}, another's was ${known}`);
  }
}

/** Tells entries of one index and term apart. */
function fingerprint({ kind, data }: Entry): string | number {
  if (kind === 'command') return data.length === 8 ? new DataView(data.buffer, data.byteOffset).getUint32(4) : `${data.length} bytes`;
  return kind === 'noop' ? 'noop' : new TextDecoder().decode(data);
}
