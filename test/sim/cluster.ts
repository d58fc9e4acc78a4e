/**
 * One run: a whole cluster, its clients and its troubles, from one seed. Everything that may vary is drawn first (sizes, limits, delays, faults), then
 * the run goes event by event, watched by the checker; at the end all troubles cease, and the cluster must serve again and agree.
 */
import { checkConfig } from '../../src/swarm-agent/raft/config.ts';
import { RaftNode, foundingState } from '../../src/swarm-agent/raft/node.ts';
import { EMPTY_STATE } from '../../src/swarm-agent/raft/types.ts';
import type { MemberId, Message, RaftConfig } from '../../src/swarm-agent/raft/types.ts';
import { Checker, Violation } from './checker.ts';
import { Events } from './events.ts';
import { SimMember } from './member.ts';
import type { RunnerMistakes } from './member.ts';
import { ModelStorage } from './model-storage.ts';
import type { StorageMistakes } from './model-storage.ts';
import { changeSomething, unleash } from './nemesis.ts';
import { Network } from './network.ts';
import { Random } from './random.ts';
import { RealStorage } from './real-storage.ts';
import type { DiskFaults } from './storage.ts';
import { Workload } from './workload.ts';

/** What is wrong with the build under test; nothing by default. */
export interface Mistakes {
  readonly node?: typeof RaftNode;
  readonly runner?: RunnerMistakes;
  readonly storage?: StorageMistakes;
}

export interface RunOptions {
  readonly seed: number;
  readonly mistakes?: Mistakes;
  /** Runs the agent's own log on a simulated disk, instead of a model of it. */
  readonly realLog?: boolean;
  /** Gets every notable event as a line of text. */
  readonly trace?: (line: string) => void;
}

/** How a run ended. */
export interface RunResult {
  readonly seed: number;
  /** The property that was broken and how; null: none was. */
  readonly violation: string | null;
  readonly events: number;
  readonly acknowledged: number;
  readonly reads: number;
  readonly elections: number;
}

/** Simulated time under trouble (most runs are short), and time then given to recover, ms. */
const TROUBLE_MS = [3_000, 5_000, 20_000] as const;
const RECOVERY_MS = 30_000;

/** Hasty members collide in elections much more often than those with the default timeouts. */
const PACES = [{ heartbeatMsMin: 8, electionMsMin: 25 }, { heartbeatMsMin: 20, electionMsMin: 60 }, { heartbeatMsMin: 50, electionMsMin: 150 }] as const;

/** Limits so small that every path is taken within a few hundred entries. */
function drawConfig(random: Random, slowNetwork: boolean): RaftConfig {
  return {
    ...checkConfig({ ...random.pick(PACES), electionMsMax: slowNetwork ? 3_000 : 2_000 }),
    // Below what anybody would configure: an append of one entry or two makes histories that large appends hide.
    appendBytesMax: random.pick([1, 16, 1024]),
    entryBytesMax: 1024,
    inflightMessagesMax: random.int(1, 16), inflightBytesMax: 4096,
    uncommittedEntriesMax: random.int(8, 200),
    applyEntriesMax: random.int(1, 50),
    windowBytesMax: random.pick([0, 500, 4_000, 1_000_000]),
    snapshotEntries: random.pick([5, 20, 60, 100_000]),
    trailingEntries: random.pick([0, 3, 20]),
    snapshotChunkBytes: random.pick([16, 100, 10_000]),
  };
}

export class Simulation {
  private readonly events = new Events();
  private readonly random: Random;
  private readonly checker = new Checker();
  private readonly members = new Map<MemberId, SimMember>();
  private readonly network: Network;
  private readonly workload: Workload;
  private readonly options: RunOptions;
  private readonly clients: number;
  private steps = 0;
  private calm = false;
  /** Chance that a member crashes on the heels of a promise. */
  private readonly treachery: number;
  private readonly eagerness: number;

  constructor(options: RunOptions) {
    this.options = options;
    const random = (this.random = new Random(options.seed, 'run'));
    this.treachery = random.pick([0, 0, 0.002, 0.01]);
    this.eagerness = random.pick([0, 0, 0.5, 1]);
    const slow = random.chance(0.15);
    const longest = slow ? random.between(20, 60) : random.between(1, 8);
    const faults = {
      loss: random.pick([0, 0.01, 0.1, 0.3]), doubling: random.pick([0, 0.05]), delayMs: [longest / 8, longest] as const, late: random.pick([0, 0.02, 0.2]), lateMs: random.pick([60, 300, 1_000]),
    };
    this.network = new Network(this.events, new Random(options.seed, 'network'), faults, (message) => this.members.get(message.to)?.receive(message));
    this.found(drawConfig(random, slow), random.int(3, 7));
    this.workload = new Workload(this.events, new Random(options.seed, 'clients'), this.members, random.int(1, 3));
    this.clients = random.int(1, 5);
  }

  /** Three to seven members, three or more of them founders; the rest may be added later. */
  private found(config: RaftConfig, size: number): void {
    const founders = this.random.int(Math.min(3, size), size);
    const ids = Array.from({ length: size }, (_, at) => `n${at + 1}`);
    const founding = foundingState({ members: ids.slice(0, founders).map((id) => ({ id, voter: true, address: `${id}:1` })) });
    const { mistakes = {}, seed } = this.options;
    const longestSync = this.random.between(0.5, 6);
    const applyMs = this.random.pick([0, 0, 0, 1, 15]);
    for (const [at, id] of ids.entries()) {
      const state = at < founders ? founding : EMPTY_STATE;
      const disk: DiskFaults = { syncMs: [0.2, longestSync], slowness: 1, failing: 0 };
      const chance = new Random(seed, `disk ${id}`);
      const storage = this.options.realLog ? new RealStorage(this.events, chance, disk, state) : new ModelStorage(this.events, chance, disk, mistakes.storage ?? {}, state);
      this.members.set(id, new SimMember({
        id, config, disk, storage, node: mistakes.node ?? RaftNode, events: this.events, random: new Random(seed, id), checker: this.checker, mistakes: mistakes.runner ?? {},
        send: (message) => this.send(message),
        trace: (who, what) => this.trace(who, what),
        applyMs,
        elected: (member) => this.elected(member),
      }));
    }
  }

  /** Sends a message. What a member promises is the best moment for it to lose power: whatever it promised must then be on its disk. */
  private send(message: Message): void {
    this.network.send(message);
    const promises = message.type === 'vote' || message.type === 'append' || ('granted' in message && message.granted) || ('ok' in message && message.ok);
    if (this.calm || !promises || !this.random.chance(this.treachery * (message.type.startsWith('append') ? 1 : 20))) return;
    const isLog = message.type.startsWith('append');
    this.crashSoon(this.members.get(message.from)!, isLog ? 3 : 1, isLog ? 100 : 8);
  }

  private crashSoon(member: SimMember, withinMs: number, meanDownMs: number): void {
    const after = this.random.between(0, withinMs);
    this.events.after(after, () => this.calm || member.crash());
    this.events.after(after + this.random.exponential(meanDownMs), () => member.start());
  }

  /** A new leader that has committed nothing yet is the most interesting victim: have it change the membership, lose power, or lose its links. */
  private elected(member: SimMember): void {
    if (this.calm || !this.random.chance(this.eagerness)) return;
    const kind = this.random.int(0, 3);
    if (kind <= 1) this.events.after(this.random.between(0, 4), () => changeSomething(this.members, this.random, member));
    else if (kind === 2) this.crashSoon(member, 10, 60);
    else this.network.isolate(member.id, this.random.between(5, 200));
  }

  /** Runs to the end or to the first breach. */
  run(): RunResult {
    let violation: string | null = null;
    try {
      this.trouble();
      this.recover();
    } catch (error) {
      violation = error instanceof Violation ? error.message : `the core stops itself: ${(error as Error).message}`;
      this.options.trace?.(error instanceof Violation ? violation : String((error as Error).stack));
    }
    const { acknowledged, reads } = this.workload.counts;
    return { seed: this.options.seed, violation, events: this.steps, acknowledged, reads, elections: this.checker.elections };
  }

  private trouble(): void {
    for (const member of this.members.values()) member.start();
    for (let client = 0; client < this.clients; client += 1) this.workload.client(this.random.between(5, 60));
    const { events, members, network } = this;
    unleash({ events, members, network, random: new Random(this.options.seed, 'troubles'), trace: (what) => this.trace('--', () => what) }, () => this.calm);
    this.runUntil(this.random.pick(TROUBLE_MS));
  }

  /** All is well again: the cluster must elect, acknowledge, answer, and all members must come to the same state. */
  private recover(): void {
    this.trace('--', () => 'calm');
    this.calm = this.workload.stopped = true;
    this.network.healthy = true;
    this.network.heal();
    for (const member of this.members.values()) {
      member.resume();
      member.setClockRate(1);
      Object.assign(member.disk, { slowness: 1, failing: 0 });
      member.start();
    }
    let served = 0;
    const keys = [0, 1, 2];
    for (const key of keys) this.untilServed(key, () => (served += 1));
    const deadline = this.events.now + RECOVERY_MS;
    while (served < keys.length || !this.agree()) if (!this.step(deadline)) throw new Violation('liveness', `after ${RECOVERY_MS} ms without trouble ${served} of ${keys.length} lists are served`);
    const wrong = this.workload.check();
    if (wrong !== null) throw new Violation('linearizability', wrong);
  }

  /** Appends to a list and then reads it, asking one member after the other until both are answered. */
  private untilServed(key: number, done: () => void): void {
    const members = [...this.members.values()];
    const attempt = (): void => {
      const member = this.random.pick(members);
      const again = (): void => this.events.after(10, attempt);
      this.workload.append(key, member, (ok) => (ok ? this.workload.read(key, member, (answered) => (answered ? done() : again())) : again()));
    };
    attempt();
  }

  /** Whether all members of the leader's membership have applied the same. */
  private agree(): boolean {
    const leader = [...this.members.values()].find((member) => member.isLeader)?.node?.status(0);
    if (leader === undefined || leader.applied < leader.lastIndex) return false;
    return leader.membership.members.every(({ id }) => this.members.get(id)?.node?.status(0).applied === leader.applied);
  }

  private runUntil(until: number): void {
    while (this.step(until));
    this.events.now = Math.max(this.events.now, until);
  }

  private step(until: number): boolean {
    this.steps += 1;
    return this.events.step(until);
  }

  private trace(who: MemberId, what: () => string): void {
    this.options.trace?.(`${this.events.now.toFixed(1).padStart(9)} ${who} ${what()}`);
  }
}

/** Runs one seed. */
export function simulate(options: RunOptions): RunResult {
  return new Simulation(options).run();
}
