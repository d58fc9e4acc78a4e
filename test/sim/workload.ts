/** Clients: each does one thing at a time, appends or reads, at the leader it believes in or at anybody, and writes down what it saw. */
import type { MemberId } from '../../src/swarm-agent/raft/types.ts';
import type { Events } from './events.ts';
import { checkLinearizable } from './linearizability.ts';
import type { AppendCall, Call, Outcome } from './linearizability.ts';
import type { SimMember } from './member.ts';
import type { Random } from './random.ts';

/** A client gives up waiting after this long, ms. */
const PATIENCE_MS = 1_500;

export class Workload {
  readonly counts = { acknowledged: 0, refused: 0, unknown: 0, reads: 0 };
  private readonly events: Events;
  private readonly random: Random;
  private readonly members: ReadonlyMap<MemberId, SimMember>;
  private readonly keys: number;
  private readonly calls = new Map<number, Call[]>();
  private leader: MemberId | null = null;
  private nextValue = 1;
  stopped = false;

  constructor(events: Events, random: Random, members: ReadonlyMap<MemberId, SimMember>, keys: number) {
    this.events = events;
    this.random = random;
    this.members = members;
    this.keys = keys;
  }

  /** Starts a client that pauses about `thinkMs` between calls. */
  client(thinkMs: number): void {
    this.events.after(this.random.exponential(thinkMs), () => {
      if (this.stopped) return;
      const next = (): void => this.client(thinkMs);
      const key = this.random.int(0, this.keys - 1);
      if (this.random.chance(0.6)) this.append(key, this.target(), next);
      else this.read(key, this.target(), next);
    });
  }

  private target(): SimMember {
    const known = this.leader === null ? undefined : this.members.get(this.leader);
    return known !== undefined && this.random.chance(0.8) ? known : this.random.pick([...this.members.values()]);
  }

  /** Appends a new value and calls back with whether it was acknowledged. */
  append(key: number, member: SimMember, done: (ok: boolean) => void): void {
    const value = this.nextValue++;
    const call: AppendCall = { kind: 'append', value, began: this.events.now, ended: Infinity, outcome: 'unknown' };
    this.note(key, call);
    const settle = this.once((outcome: Outcome, leader: MemberId | null) => {
      call.outcome = outcome;
      if (outcome !== 'unknown') call.ended = this.events.now;
      this.counts[outcome] += 1;
      this.leader = outcome === 'acknowledged' ? member.id : leader;
      this.events.after(0, () => done(outcome === 'acknowledged'));
    });
    this.events.after(PATIENCE_MS, () => settle('unknown', null));
    member.propose(key, value, settle);
  }

  /** Reads a list and calls back with whether it was answered. */
  read(key: number, member: SimMember, done: (ok: boolean) => void): void {
    const began = this.events.now;
    const settle = this.once((values: readonly number[] | null) => {
      if (values !== null) {
        this.note(key, { kind: 'read', began, ended: this.events.now, values });
        this.counts.reads += 1;
      } else this.leader = null;
      this.events.after(0, () => done(values !== null));
    });
    this.events.after(PATIENCE_MS, () => settle(null));
    member.read(key, settle);
  }

  /** What is wrong with what the clients saw; null: nothing. */
  check(): string | null {
    for (const [key, calls] of this.calls) {
      const wrong = checkLinearizable(calls);
      if (wrong !== null) return `list ${key}: ${wrong}`;
    }
    return null;
  }

  private note(key: number, call: Call): void {
    const calls = this.calls.get(key);
    if (calls === undefined) this.calls.set(key, [call]);
    else calls.push(call);
  }

  /** Only the first answer counts: a client that has given up listens no more. */
  private once<Args extends unknown[]>(run: (...args: Args) => void): (...args: Args) => void {
    let over = false;
    return (...args) => {
      if (over) return;
      over = true;
      run(...args);
    };
  }
}
