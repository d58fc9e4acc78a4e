/** A group of real members in one process, on disks in memory, with time and network turned by hand: the same run every time. */
import type { BeltError } from '../../../src/errors.ts';
import { Member } from '../../../src/swarm-agent/member/member.ts';
import type { MemberOptions } from '../../../src/swarm-agent/member/ports.ts';
import type { Clock } from '../../../src/swarm-agent/ports.ts';
import type { Membership, Message, RaftConfig } from '../../../src/swarm-agent/raft/types.ts';
import { CrashDisk } from '../log/crash-disk.ts';

/** Time that stands still until it is moved. */
class HandClock implements Clock {
  time = 0;
  #timers: { at: number; act: () => void }[] = [];

  now(): number {
    return 1_700_000_000_000 + this.time;
  }

  monotonic(): number {
    return this.time;
  }

  after(ms: number, act: () => void): () => void {
    const timer = { at: this.time + ms, act };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  /** Moves to the next timer that is due by `until` and lets it act; false: there is none. */
  step(until: number): boolean {
    const next = this.#timers.reduce<{ at: number; act: () => void } | null>((first, timer) => (first === null || timer.at < first.at ? timer : first), null);
    if (next === null || next.at > until) return false;
    this.time = Math.max(this.time, next.at);
    this.#timers = this.#timers.filter((timer) => timer !== next);
    next.act();
    return true;
  }
}

export interface Node {
  readonly id: string;
  member: Member;
  disk: CrashDisk;
  failures: BeltError[];
  snapshotFailures: BeltError[];
  /** Syncs end at once; false: they wait for the test. */
  syncs: boolean;
}

export class Group {
  readonly clock = new HandClock();
  readonly nodes = new Map<string, Node>();
  readonly #config: Partial<RaftConfig>;
  readonly #receivers = new Map<string, (messages: readonly Message[]) => void>();
  readonly #cut = new Set<string>();
  #soon: (() => void)[] = [];
  #wire: Message[] = [];
  readonly #founding: Membership;

  /** `ids` found the group. */
  constructor(ids: readonly string[], config: Partial<RaftConfig> = {}) {
    this.#config = config;
    this.#founding = { members: ids.map((id) => ({ id, voter: true, address: `${id}:1` })) };
    for (const id of ids) this.start(id, new CrashDisk());
  }

  /** Starts a member; one that is no founder begins empty and waits to be added. */
  start(id: string, disk: CrashDisk): Node {
    const isFounder = this.#founding.members.some((member) => member.id === id);
    const node: Node = { id, disk, failures: [], snapshotFailures: [], syncs: true, member: undefined as unknown as Member };
    this.nodes.set(id, node);
    const options: MemberOptions = {
      id, disk, clock: this.clock, random: seeded(id), config: this.#config, segmentBytes: 16 * 1024,
      ...(isFounder ? { founding: this.#founding } : {}),
      soon: (act) => void this.#soon.push(act),
      network: (receive) => {
        this.#receivers.set(id, receive);
        return { send: (messages) => void this.#wire.push(...messages), setPeers: () => undefined, close: () => void this.#receivers.delete(id) };
      },
      events: { onFailed: (error) => node.failures.push(error), onSnapshotFailed: (error) => node.snapshotFailures.push(error) },
    };
    node.member = new Member(options);
    return node;
  }

  /** Takes a member's power away and starts it again; of what was not synced, nothing is left. */
  restart(id: string): Node {
    const { member, disk } = this.node(id);
    member.close();
    return this.start(id, disk.crash(() => false));
  }

  /** From now on nothing reaches `id` and nothing leaves it. */
  cut(id: string): void {
    this.#cut.add(id);
  }

  heal(): void {
    this.#cut.clear();
  }

  node(id: string): Node {
    return this.nodes.get(id)!;
  }

  leader(): Node {
    const leaders = [...this.nodes.values()].filter(({ id, member }) => !this.#cut.has(id) && member.status().role === 'leader');
    if (leaders.length !== 1) throw new Error(`${leaders.length} leaders`);
    return leaders[0]!;
  }

  followers(): Node[] {
    const leader = this.leader();
    return [...this.nodes.values()].filter((node) => node !== leader);
  }

  /** Lets `ms` of time pass, and everything that follows from it. */
  async run(ms: number): Promise<void> {
    const until = this.clock.time + ms;
    do await this.#drain();
    while (this.clock.step(until));
    this.clock.time = until;
  }

  /** Until nothing more happens without time passing. */
  async #drain(): Promise<void> {
    for (let busy = true; busy; ) {
      busy = false;
      for (const act of this.#soon.splice(0)) {
        act();
        busy = true;
      }
      for (const message of this.#wire.splice(0)) {
        if (!this.#cut.has(message.from) && !this.#cut.has(message.to)) this.#receivers.get(message.to)?.([message]);
        busy = true;
      }
      for (const { disk, syncs } of this.nodes.values()) {
        if (!syncs || disk.underWay === 0) continue;
        disk.settle();
        busy = true;
      }
      // Promises that were settled by the above.
      await Promise.resolve();
    }
  }
}

/** Draws in [0, 1) that depend on the member's id alone. */
function seeded(id: string): () => number {
  let state = [...id].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7);
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

/** What becomes of a promise, to be asked without waiting. */
export function watch<T>(promise: Promise<T>): { readonly state: () => 'pending' | 'ok' | string; readonly value: () => T | undefined } {
  let state: string = 'pending';
  let value: T | undefined;
  promise.then(
    (result) => {
      state = 'ok';
      value = result;
    },
    (error: BeltError) => (state = error.code),
  );
  return { state: () => state, value: () => value };
}
