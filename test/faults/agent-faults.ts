/**
 * Five agents of the real bundle on `local` under load, ended with SIGKILL and frozen with SIGSTOP at random. What the operator's clients were
 * told is kept out here. Afterwards nothing acknowledged may be missing, nothing refused may have appeared, what was unknown may have happened
 * once at most, and all managers must hold the same state.
 */
import { randomBytes } from 'node:crypto';

import { isBeltError, asBeltError } from '../../src/errors.ts';
import type { AgentClient } from '../../src/swarm/agent-client.ts';
import { Ledger, type Told } from './ledger.ts';
import { LocalCluster, until, type LocalNode } from './local-cluster.ts';

export interface AgentFaultsOptions {
  readonly seconds: number;
  readonly writers: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly onEvent?: (line: string) => void;
}

export interface AgentFaultsResult {
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  /** Requests repeated under their id after another write had overtaken them. */
  readonly overtaken: number;
  readonly kills: number;
  readonly freezes: number;
  readonly longestGapMs: number;
  /** While at most two managers were hurt. */
  readonly longestGapWithQuorumMs: number;
  /** The codes of everything that was refused. */
  readonly codes: Readonly<Record<string, number>>;
  /** The managers' common state: Raft index and hash. */
  readonly state: string | null;
  /** Every broken promise, in words; empty when all were kept. */
  readonly broken: readonly string[];
}

/** A client that hears nothing for so long takes the outcome for unknown, ms. */
const PATIENCE_MS = 1500;
/** Clients the writers share: connections are made anew after each fault. */
const CLIENTS = 4;
/** Labels a writer has at most: a node may have 256. */
const KEYS = 8;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Change {
  readonly node: string;
  readonly set?: Readonly<Record<string, string>>;
  readonly unset?: readonly string[];
}

/** The load: writers, each with labels of its own on one node. */
class Load {
  readonly ledger: Ledger;
  readonly codes: Record<string, number> = {};
  overtaken = 0;
  readonly #managers: readonly LocalNode[];
  readonly #clients: readonly AgentClient[];
  readonly #random: () => number;
  readonly #until: number;

  constructor(managers: readonly LocalNode[], clients: readonly AgentClient[], random: () => number, until_: number, say: (line: string) => void) {
    this.ledger = new Ledger((ms, hadQuorum) => say(`${Math.round(ms)} ms without an acknowledgement${hadQuorum ? '' : ', and without a quorum'}`));
    this.#managers = managers;
    this.#clients = clients;
    this.#random = random;
    this.#until = until_;
  }

  async writer(number: number): Promise<void> {
    const node = this.#managers[number % this.#managers.length]!.name;
    const client = this.#clients[number % this.#clients.length]!;
    let mine: string[] = [];
    for (let i = 0; performance.now() < this.#until; i++) {
      const key = `w${number}.${i}`;
      const chance = this.#random();
      if (mine.length >= KEYS) {
        const told = await this.#write(client, { node, unset: mine }, request());
        this.ledger.note(mine.map((one) => `${node}/${one}`), null, told);
        if (told !== 'refused') mine = [];
      } else if (chance < 0.25) await this.#overtake(client, node, key);
      else this.ledger.note([`${node}/${key}`], 'a', await this.#write(client, { node, set: { [key]: 'a' } }, request()));
      if (!mine.includes(key)) mine.push(key);
    }
  }

  /** The same request once more, after a later write: it must not undo that. */
  async #overtake(client: AgentClient, node: string, key: string): Promise<void> {
    const first = request();
    const told = await this.#write(client, { node, set: { [key]: 'a' } }, first);
    this.ledger.note([`${node}/${key}`], 'a', told);
    if (told !== 'acknowledged') return;
    this.ledger.note([`${node}/${key}`], 'b', await this.#write(client, { node, set: { [key]: 'b' } }, request()));
    await this.#write(client, { node, set: { [key]: 'a' } }, first);
    this.overtaken += 1;
  }

  /** Half of the unknown outcomes are cleared up by repeating the request until it is answered. */
  async #write(client: AgentClient, change: Change, id: string): Promise<Told> {
    const clearsUp = this.#random() < 0.5;
    let told = await this.#try(client, change, id);
    while (told === 'unknown' && clearsUp && performance.now() < this.#until) {
      await sleep(5);
      // A refused repeat says nothing about the first.
      if ((await this.#try(client, change, id)) === 'acknowledged') told = 'acknowledged';
    }
    if (told !== 'acknowledged') await sleep(5);
    return told;
  }

  async #try(client: AgentClient, { node, set = {}, unset = [] }: Change, id: string): Promise<Told> {
    const manager = this.#managers[Math.floor(this.#random() * this.#managers.length)]!;
    try {
      await client.cluster([manager.endpoint], 'nodes.label', { node, set, unset: [...unset] }, { request: id, timeoutMs: PATIENCE_MS });
      return 'acknowledged';
    } catch (error) {
      if (isBeltError(error, 'outcome_unknown')) return 'unknown';
      const { code } = asBeltError(error);
      this.codes[code] = (this.codes[code] ?? 0) + 1;
      return 'refused';
    }
  }
}

function request(): string {
  return randomBytes(16).toString('hex');
}

/** Kills and freezes managers until the time is up, then leaves all of them running. */
async function disturb(cluster: LocalCluster, ledger: Ledger, { random, onEvent }: AgentFaultsOptions, end: number): Promise<{ kills: number; freezes: number }> {
  const count = { kills: 0, freezes: 0 };
  const victims = new Set<LocalNode>();
  const client = cluster.client();
  const hurt = async (node: LocalNode): Promise<void> => {
    const pauseMs = 100 + random() * 2500;
    if (random() < 0.6) {
      count.kills += 1;
      onEvent?.(`kill ${node.name}, again in ${pauseMs.toFixed(0)} ms`);
      await cluster.kill(node);
      await sleep(pauseMs);
      cluster.start(node);
    } else {
      count.freezes += 1;
      onEvent?.(`freeze ${node.name} for ${pauseMs.toFixed(0)} ms`);
      cluster.signal(node, 'SIGSTOP');
      await sleep(pauseMs);
      cluster.signal(node, 'SIGCONT');
    }
    // Until it is there again: an agent needs a moment to start.
    await until(() => healthy(client, node), `${node.name} is back`, 60_000);
    // Not only at their beginning: the gap goes on until they are back.
    if (victims.size > 2) ledger.noQuorum();
    victims.delete(node);
  };
  const under: Promise<void>[] = [];
  while (performance.now() < end) {
    await sleep(200 + random() * 1300);
    // Mostly a minority; now and then three of five, and the managers must stand still without lying.
    const most = random() < 0.15 ? 3 : 2;
    const leader = random() < 0.5 ? await leaderOf(client, cluster.managers) : null;
    const node = leader ?? cluster.managers[Math.floor(random() * cluster.managers.length)]!;
    if (victims.size >= most || victims.has(node)) continue;
    victims.add(node);
    if (victims.size > 2) ledger.noQuorum();
    under.push(hurt(node));
  }
  await Promise.all(under);
  return count;
}

function healthy(client: AgentClient, node: LocalNode): Promise<boolean> {
  return client.call(node.endpoint, 'node.health', {}, { timeoutMs: 1000 }).then(({ raft }) => raft !== null, () => false);
}

async function leaderOf(client: AgentClient, managers: readonly LocalNode[]): Promise<LocalNode | null> {
  const answers = await Promise.all(managers.map((node) => client.call(node.endpoint, 'node.health', {}, { timeoutMs: 300 }).then(({ raft }) => ({ node, raft }), () => null)));
  return answers.filter((answer) => answer?.raft?.state === 'leader').toSorted((a, b) => b!.raft!.term - a!.raft!.term)[0]?.node ?? null;
}

/** One manager's state as it was read: `index` and `hash`, or why it could not be read. */
export type StateRead = { readonly name: string } & ({ readonly index: number; readonly hash: string } | { readonly unread: string });

/** What the reads say together. Only two hashes of one index are a difference: a manager may be behind, and one that was not read says nothing. Pure. */
export function judgeStates(reads: readonly StateRead[]): { readonly verdict: 'same' | 'different' | 'behind' | 'unread'; readonly says: string } {
  const says = reads.map((read) => `${read.name}: ${'hash' in read ? `${read.index} ${read.hash}` : read.unread}`).join(', ');
  const read = reads.filter((one) => 'hash' in one);
  const hashes = Map.groupBy(read, ({ index }) => index);
  if ([...hashes.values()].some((same) => new Set(same.map(({ hash }) => hash)).size > 1)) return { verdict: 'different', says: `the managers hold different states: ${says}` };
  if (read.length < reads.length) return { verdict: 'unread', says: `the managers' states could not all be read: ${says}` };
  return hashes.size === 1 ? { verdict: 'same', says: `${read[0]!.index} ${read[0]!.hash}` } : { verdict: 'behind', says: `the managers have not all caught up: ${says}` };
}

/** How long managers may take to catch up and to answer all, ms: on a loaded machine a call is refused now and then. */
const COMPARE_MS = 60_000;

/** Index and hash that all managers agree on. Rejects at once where two differ, and after `withinMs` where some are behind or could not be read. */
export async function commonState(client: Pick<AgentClient, 'call'>, managers: readonly Pick<LocalNode, 'name' | 'endpoint'>[], withinMs = COMPARE_MS): Promise<string> {
  const end = performance.now() + withinMs;
  for (;;) {
    const { verdict, says } = judgeStates(await Promise.all(managers.map((manager) => readState(client, manager))));
    if (verdict === 'same') return says;
    if (verdict === 'different' || performance.now() > end) throw new Error(says);
    await sleep(25);
  }
}

function readState(client: Pick<AgentClient, 'call'>, { name, endpoint }: Pick<LocalNode, 'name' | 'endpoint'>): Promise<StateRead> {
  return client.call(endpoint, 'node.health', { state: true }).then(
    ({ state }) => (state == null ? { name, unread: 'it manages nothing now' } : { name, ...state }),
    (error: unknown) => ({ name, unread: asBeltError(error).message }),
  );
}

/** Labels of the load as the leader reads them, by `node/key`. */
async function found(client: AgentClient, managers: readonly LocalNode[]): Promise<Map<string, string>> {
  const { nodes } = await until(() => client.cluster(managers.map(({ endpoint }) => endpoint), 'cluster.nodes', {}).catch(() => null), 'the managers answer', 30_000);
  return new Map(nodes.flatMap(({ name, labels }) => Object.entries(labels).filter(([key]) => key.startsWith('w')).map(([key, value]) => [`${name}/${key}`, value] as const)));
}

/** Runs it all on a cluster of its own. */
export async function runAgentFaults(options: AgentFaultsOptions): Promise<AgentFaultsResult> {
  const { seconds, writers, random, onEvent } = options;
  const cluster = await LocalCluster.form({ topology: '5/3', workers: 0 });
  try {
    onEvent?.(`5/3 formed in ${cluster.folder}`);
    const end = performance.now() + seconds * 1000;
    const load = new Load(cluster.managers, Array.from({ length: CLIENTS }, () => cluster.client()), random, end, (line) => onEvent?.(line));
    const writing = Promise.all(Array.from({ length: writers }, (_, number) => load.writer(number)));
    const { kills, freezes } = await disturb(cluster, load.ledger, options, end);
    await writing;
    const client = cluster.client();
    // Reads first: what the leader says then is what every state must hold.
    const broken = load.ledger.broken(await found(client, cluster.managers));
    const state = await commonState(client, cluster.managers).catch((error: unknown) => void broken.push((error as Error).message));
    const { ledger, codes, overtaken } = load;
    return { ...ledger.counts, overtaken, kills, freezes, longestGapMs: Math.round(ledger.longestGapMs), longestGapWithQuorumMs: Math.round(ledger.longestGapWithQuorumMs), codes, state: state ?? null, broken };
  } finally {
    await cluster.close();
  }
}
