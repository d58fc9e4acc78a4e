/**
 * One simulated member: the real core, a storage, a state machine and a clock of its own, with a runner that does what `Ready` says. It can be
 * crashed, paused and started again.
 */
import { RaftNode } from '../../src/swarm-agent/raft/node.ts';
import type { Entry, LogIndex, Lost, MemberId, MembershipChange, Message, RaftConfig, Ready, SnapshotMeta, Term } from '../../src/swarm-agent/raft/types.ts';
import type { Checker } from './checker.ts';
import type { Events } from './events.ts';
import type { Outcome } from './linearizability.ts';
import type { Random } from './random.ts';
import { StateMachine, encodeAppend } from './state-machine.ts';
import type { DiskFaults, Storage, StorageListener } from './storage.ts';

/** Mistakes a runner could make; see planted.ts. */
export interface RunnerMistakes {
  /** Says `refused` where the outcome is unknown. */
  readonly callsUnknownRefused?: boolean;
  /** Answers a write when it is appended, before it is committed. */
  readonly answersBeforeCommit?: boolean;
  /** Answers a write by its index alone. */
  readonly ignoresTerm?: boolean;
}

export interface MemberOptions {
  readonly id: MemberId;
  readonly config: RaftConfig;
  readonly node: typeof RaftNode;
  readonly events: Events;
  readonly random: Random;
  readonly storage: Storage;
  /** How this member's disk behaves; the storage reads it too. */
  readonly disk: DiskFaults;
  readonly checker: Checker;
  readonly mistakes: RunnerMistakes;
  readonly send: (message: Message) => void;
  /** Applying takes up to this long, ms; 0: it is done at once. */
  readonly applyMs: number;
  /** Told when the member becomes leader. */
  readonly elected: (member: SimMember) => void;
  readonly trace: (id: MemberId, what: () => string) => void;
}

interface Proposal {
  readonly term: Term;
  readonly answer: (outcome: Outcome) => void;
}

export class SimMember {
  readonly id: MemberId;
  node: RaftNode | null = null;
  machine = new StateMachine();
  private readonly options: MemberOptions;
  private proposals = new Map<LogIndex, Proposal>();
  private reads = new Map<number, (values: readonly number[] | null) => void>();
  private readKeys = new Map<number, number>();
  private nextRead = 1;
  /** Counts starts, so that what belongs to an earlier life is dropped. */
  private life = 0;
  private pausedUntil = 0;
  private queue: (() => void)[] = [];
  private timerAt = Infinity;
  private term = 0;
  private draining = false;
  private toApply: (readonly Entry[])[] = [];
  // The member's own clock: local = base + (now - since) · rate.
  private clock = { base: 0, since: 0, rate: 1 };

  constructor(options: MemberOptions) {
    this.id = options.id;
    this.options = options;
    this.clock.base = options.random.between(0, 1e6);
  }

  get isUp(): boolean { return this.node !== null; }
  get disk(): DiskFaults { return this.options.disk; }
  get isLeader(): boolean { return this.node?.status(this.localNow).role === 'leader'; }

  private get localNow(): number { return this.clock.base + (this.options.events.now - this.clock.since) * this.clock.rate; }

  /** The clock goes at `rate` from now on (1 is true time). */
  setClockRate(rate: number): void {
    this.clock = { base: this.localNow, since: this.options.events.now, rate };
  }

  start(): void {
    if (this.node !== null) return;
    const { id, config, random, storage, checker, node: Node } = this.options;
    this.life += 1;
    const { state, content } = storage.open(this.listen());
    this.machine = new StateMachine();
    if (content !== null) this.machine.restore(content);
    checker.started(id, state);
    this.term = state.vote.term;
    if (state.snapshot !== null) checker.restored(id, state.snapshot.index, this.machine.hash);
    this.options.trace(id, () => `starts: vote ${JSON.stringify(state.vote)}, snapshot ${state.snapshot?.index ?? 0}, log to ${state.entries.at(-1)?.index ?? 0}`);
    this.node = new Node({ id, config, state, random: random.next, now: this.localNow });
    this.timerAt = Infinity;
    this.drain();
  }

  /** Power off: all that was only in memory is gone, and so is some of what the disk had not synced. */
  crash(): void {
    if (this.node === null) return;
    this.options.trace(this.id, () => 'crashes');
    this.node = null;
    this.life += 1;
    this.queue = [];
    this.toApply = [];
    this.pausedUntil = 0;
    this.options.storage.crash();
    for (const { answer } of this.proposals.values()) answer('unknown');
    for (const answer of this.reads.values()) answer(null);
    this.proposals.clear();
    this.reads.clear();
  }

  /** SIGSTOP for `ms`: everything waits and then comes at once. */
  pause(ms: number): void {
    const { events } = this.options;
    if (this.node === null || this.pausedUntil > events.now) return;
    this.options.trace(this.id, () => `pauses for ${Math.round(ms)} ms`);
    this.pausedUntil = events.now + ms;
    const { life } = this;
    events.after(ms, () => {
      if (this.life !== life) return;
      const waited = this.queue;
      this.queue = [];
      for (const input of waited) if (this.life === life) this.input(input);
      this.input(() => this.node!.tick(this.localNow));
    });
  }

  resume(): void { this.pausedUntil = 0; }

  receive(message: Message): void { this.input(() => this.node!.receive(this.localNow, message)); }

  propose(key: number, value: number, answer: (outcome: Outcome, leader: MemberId | null) => void): void {
    this.input(() => {
      const proposed = this.node!.propose(this.localNow, [encodeAppend(key, value)]);
      if (!proposed.ok) return answer('refused', proposed.leader);
      if (this.options.mistakes.answersBeforeCommit) return answer('acknowledged', this.id);
      this.proposals.set(proposed.index, { term: proposed.term, answer: (outcome) => answer(outcome, null) });
    }, () => answer('unknown', null));
  }

  read(key: number, answer: (values: readonly number[] | null) => void): void {
    this.input(() => {
      const id = this.nextRead++;
      if (!this.node!.read(this.localNow, id).ok) return answer(null);
      this.readKeys.set(id, key);
      this.reads.set(id, answer);
    }, () => answer(null));
  }

  change(change: MembershipChange): void {
    this.input(() => {
      const { localNow, id } = this;
      const result = this.node!.changeMembership(localNow, change);
      this.options.trace(id, () => `change ${JSON.stringify(change)}: ${JSON.stringify(result)}`);
    });
  }

  transfer(to: MemberId | null): void { this.input(() => void this.node!.transferLeadership(this.localNow, to)); }

  /** What the disk tells this life of the member. */
  private listen(): StorageListener {
    return {
      durable: (seq) => this.input(() => this.node!.persisted(this.localNow, seq)),
      failed: () => this.diskFailed(),
      snapshotTaken: (meta) => this.input(() => this.node!.snapshotTaken(this.localNow, meta)),
      snapshotWritten: (meta, bytes) => this.input(() => this.node!.snapshotWritten(this.localNow, meta, bytes)),
      snapshotStored: (meta, ok) => this.input(() => this.node!.snapshotStored(this.localNow, meta, ok)),
    };
  }

  private diskFailed(): void {
    this.options.trace(this.id, () => 'disk fails');
    this.input(() => this.node!.persistFailed(this.localNow));
    const { life } = this;
    this.options.events.after(this.options.random.between(1, 200), () => {
      if (this.life !== life) return;
      this.crash();
      this.start();
    });
  }

  /** Something happens to the member: now, after its pause, or never when it is down. */
  private input(run: () => void, down: () => void = () => {}): void {
    if (this.node === null) return down();
    if (this.pausedUntil > this.options.events.now) {
      this.queue.push(run);
      return;
    }
    run();
    this.drainSoon();
  }

  /** Mostly at once; sometimes a little later, so that several inputs are answered together as on a busy machine. */
  private drainSoon(): void {
    if (this.draining) return;
    const { random, events } = this.options;
    if (random.chance(0.75)) return this.drain();
    this.draining = true;
    const { life } = this;
    events.after(random.between(0, 2), () => {
      this.draining = false;
      if (this.life === life) this.drain();
    });
  }

  private drain(): void {
    const node = this.node;
    while (node !== null && this.node === node && node.hasReady()) this.handle(node, node.ready(this.localNow));
    this.setTimer();
  }

  /** Does what a `Ready` says, in its order. */
  private handle(node: RaftNode, ready: Ready): void {
    const { checker, storage, send } = this.options;
    if (ready.persist !== null) {
      checker.persist(this.id, ready.persist);
      storage.append(ready.persist);
    }
    this.term = ready.role?.term ?? this.term;
    for (const event of ready.events) this.options.trace(this.id, () => JSON.stringify(event));
    if (ready.role?.role === 'leader') {
      checker.elected(this.id, ready.role.term);
      this.options.elected(this);
    }
    for (const message of ready.messages) send(message);
    if (ready.snapshotWanted !== null) storage.save(ready.snapshotWanted, this.machine.save());
    if (ready.restore !== null) this.restore(node, ready.restore);
    if (ready.apply.length > 0) this.applySoon(node, ready.apply);
    for (const { id, ok } of ready.reads) this.answerRead(id, ok);
    if (ready.lost !== null) this.lose(ready.lost);
    this.serve(ready);
  }

  private restore(node: RaftNode, meta: SnapshotMeta): void {
    this.toApply = [];
    this.machine.restore(this.options.storage.content(meta));
    this.options.checker.restored(this.id, meta.index, this.machine.hash);
    for (const [index, { answer }] of this.proposals) {
      if (index > meta.index) continue;
      this.proposals.delete(index);
      answer('unknown');
    }
    node.applied(this.localNow, meta.index);
  }

  private applySoon(node: RaftNode, entries: readonly Entry[]): void {
    const { applyMs, random, events } = this.options;
    if (applyMs === 0) return this.apply(node, entries);
    this.toApply.push(entries);
    events.after(random.between(0, applyMs), () => {
      if (this.node !== node) return;
      this.input(() => {
        const next = this.toApply.shift();
        if (next !== undefined) this.apply(node, next);
      });
    });
  }

  private apply(node: RaftNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.machine.apply(entry.index * 64 + entry.term, entry.data);
      this.options.checker.apply(this.id, entry, this.machine.hash, this.term);
      const proposal = this.proposals.get(entry.index);
      if (proposal === undefined) continue;
      this.proposals.delete(entry.index);
      proposal.answer(proposal.term === entry.term || this.options.mistakes.ignoresTerm ? 'acknowledged' : 'unknown');
    }
    node.applied(this.localNow, entries.at(-1)!.index);
  }

  private answerRead(id: number, ok: boolean): void {
    const answer = this.reads.get(id)!;
    this.reads.delete(id);
    answer(ok ? this.machine.read(this.readKeys.get(id)!) : null);
    this.readKeys.delete(id);
  }

  private lose({ term, after }: Lost): void {
    for (const [index, proposal] of this.proposals) {
      if (proposal.term !== term || index <= after || this.options.mistakes.ignoresTerm) continue;
      this.proposals.delete(index);
      proposal.answer(this.options.mistakes.callsUnknownRefused ? 'refused' : 'unknown');
    }
  }

  /** Disk work for followers and for the log's own upkeep. */
  private serve({ logReads, snapshotReads, snapshotWrites, compact }: Ready): void {
    const { storage } = this.options;
    for (const { to, from, bytesMax } of logReads) this.soon(() => this.node!.logRead(this.localNow, to, from, storage.read(from, bytesMax)));
    for (const { to, meta, offset, bytesMax } of snapshotReads) {
      this.soon(() => this.node!.snapshotRead(this.localNow, to, meta, offset, storage.readSnapshot(meta, offset, bytesMax)));
    }
    for (const write of snapshotWrites) storage.receive(write);
    if (compact !== null) storage.compact(compact);
  }

  private soon(run: () => void): void {
    const { life } = this;
    this.options.events.after(this.options.random.between(0.1, 3), () => {
      if (this.life === life) this.input(run);
    });
  }

  private setTimer(): void {
    if (this.node === null) return;
    const { events } = this.options;
    const at = events.now + Math.max(0, (this.node.wakeAt() - this.localNow) / this.clock.rate);
    if (at >= this.timerAt || at === Infinity) return;
    this.timerAt = at;
    const { life } = this;
    events.after(at - events.now + 0.001, () => {
      if (this.life !== life || this.timerAt !== at) return;
      this.timerAt = Infinity;
      this.input(() => this.node!.tick(this.localNow));
    });
  }
}
