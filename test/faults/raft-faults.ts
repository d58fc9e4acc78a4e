/**
 * Real faults: five member processes under load, ended with SIGKILL and frozen with SIGSTOP at random, while what was answered is recorded out
 * here. Afterwards nothing acknowledged may be missing, nothing refused may have appeared, what was unknown may have happened once at most,
 * and all members must hold the same state.
 */
import { BeltCluster, type BeltClient } from '../../bench/raft/belt-cluster.ts';
import type { MemberReport, WriteOutcome } from '../../bench/raft/wire.ts';

export interface FaultsOptions {
  readonly folder: string;
  readonly pki: string | null;
  readonly firstPort: number;
  readonly seconds: number;
  readonly writers: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly onEvent?: (line: string) => void;
}

/** What was seen. */
export interface FaultsResult {
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  readonly kills: number;
  readonly freezes: number;
  /** The longest time without an acknowledged write, ms. */
  readonly longestGapMs: number;
  /** Every broken promise, in words; empty when all were kept. */
  readonly broken: readonly string[];
}

const MEMBERS = 5;
/** A client that hears nothing for so long takes the outcome for unknown, ms. */
const PATIENCE_MS = 1_500;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What was asked and how it ended, by key; rotations have one outcome each. */
class Answered {
  readonly settings = new Map<string, WriteOutcome>();
  readonly rotations: WriteOutcome[] = [];
  longestGapMs = 0;
  #lastAcknowledged = performance.now();

  note(key: string, outcome: WriteOutcome): void {
    if (key === '!rotate') this.rotations.push(outcome);
    else this.settings.set(key, outcome);
    if (outcome !== 'acknowledged') return;
    const now = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, now - this.#lastAcknowledged);
    this.#lastAcknowledged = now;
  }

  count(outcome: WriteOutcome): number {
    return [...this.settings.values(), ...this.rotations].filter((one) => one === outcome).length;
  }
}

/** Connections to all members, made again as they are lost. */
class Connections {
  readonly #cluster: BeltCluster;
  readonly #open = new Map<string, Promise<BeltClient>>();
  #leader = 'm1';

  constructor(cluster: BeltCluster) {
    this.#cluster = cluster;
  }

  /** Writes by the member that last took a write; where it does not, the next is tried the next time. */
  async write(key: string, value: string, request: string): Promise<WriteOutcome> {
    const asked = this.#leader;
    const outcome = await this.#ask(asked, key, value, request);
    if (outcome !== 'acknowledged' && this.#leader === asked) this.#leader = `m${(Number(asked.slice(1)) % MEMBERS) + 1}`;
    return outcome;
  }

  close(): void {
    for (const client of this.#open.values()) void client.then((open) => open.close(), () => undefined);
  }

  async #ask(id: string, key: string, value: string, request: string): Promise<WriteOutcome> {
    const client = this.#open.get(id) ?? this.#cluster.client(id);
    this.#open.set(id, client);
    let open: BeltClient;
    try {
      const opened = await Promise.race([client, sleep(PATIENCE_MS)]);
      if (opened === undefined) return 'refused';
      open = opened;
    } catch {
      // Nothing was sent.
      this.#open.delete(id);
      return 'refused';
    }
    const outcome = await Promise.race([open.write(key, value, request), sleep(PATIENCE_MS)]);
    if (outcome === undefined || outcome === 'unknown') {
      open.close();
      this.#open.delete(id);
    }
    return outcome ?? 'unknown';
  }
}

/** One writer: a new key each time; one write in ten is a rotation; every other unknown outcome is cleared up by repeating the request. */
async function write(connections: Connections, record: Answered, name: string, random: () => number, until: number): Promise<void> {
  for (let i = 0; performance.now() < until; i++) {
    const key = random() < 0.1 ? '!rotate' : `${name}-${i}`;
    const request = `${name}:${i}`;
    let outcome = await connections.write(key, request, request);
    const clearsUp = random() < 0.5;
    while (outcome === 'unknown' && clearsUp && performance.now() < until) {
      const again = await connections.write(key, request, request);
      // A refused repeat says nothing about the first.
      if (again === 'acknowledged') outcome = again;
      else await sleep(5);
    }
    record.note(key, outcome);
    if (outcome !== 'acknowledged') await sleep(5);
  }
}

/** Kills and freezes members until the time is up, then leaves all of them running. */
async function disturb(cluster: BeltCluster, { random, onEvent }: FaultsOptions, until: number): Promise<{ kills: number; freezes: number }> {
  const count = { kills: 0, freezes: 0 };
  const victims = new Set<string>();
  const hurt = async (id: string): Promise<void> => {
    const pauseMs = 100 + random() * 1_500;
    if (random() < 0.6) {
      count.kills++;
      onEvent?.(`kill ${id}, again in ${pauseMs.toFixed(0)} ms`);
      await cluster.kill(id);
      await sleep(pauseMs);
      await cluster.startMember(id);
    } else {
      count.freezes++;
      onEvent?.(`freeze ${id} for ${pauseMs.toFixed(0)} ms`);
      cluster.process(id)?.kill('SIGSTOP');
      await sleep(pauseMs);
      cluster.process(id)?.kill('SIGCONT');
    }
    victims.delete(id);
  };
  const under: Promise<void>[] = [];
  while (performance.now() < until) {
    await sleep(100 + random() * 900);
    // Mostly a minority; now and then three of five, and the group must stand still without lying.
    const most = random() < 0.1 ? 3 : 2;
    const leader = random() < 0.5 ? await cluster.leader() : null;
    const id = leader ?? `m${1 + Math.floor(random() * MEMBERS)}`;
    if (victims.size >= most || victims.has(id)) continue;
    victims.add(id);
    under.push(hurt(id));
  }
  await Promise.all(under);
  return count;
}

function ask(cluster: BeltCluster, withState: boolean): Promise<MemberReport[]> {
  return Promise.all(cluster.ids.map(async (id) => {
    const client = await cluster.client(id);
    const report = await client.report(withState);
    client.close();
    return report;
  }));
}

/** Waits until all members have applied the same entry, and returns what they tell. */
async function settled(cluster: BeltCluster): Promise<MemberReport[]> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const reports = await ask(cluster, false);
    const isSettled = reports.some(({ role }) => role === 'leader') && new Set(reports.map(({ applied }) => applied)).size === 1 && reports.every(({ applied, commit }) => applied === commit);
    if (isSettled || performance.now() > deadline) return ask(cluster, true);
    await sleep(50);
  }
}

/** Every promise that `reports` break, given what was answered. */
export function brokenPromises(record: Pick<Answered, 'settings' | 'rotations'>, reports: readonly MemberReport[]): string[] {
  const broken: string[] = [];
  const states = new Set(reports.map(({ state }) => `${state!.index} ${state!.hash}`));
  if (states.size !== 1) broken.push(`the members hold different states: ${[...states].join(', ')}`);
  const { settings, rotations } = reports[0]!.state!;
  for (const [key, outcome] of record.settings) {
    const isThere = settings[key] !== undefined;
    if (outcome === 'acknowledged' && !isThere) broken.push(`${key} was acknowledged and is missing`);
    if (outcome === 'refused' && isThere) broken.push(`${key} was refused and has appeared`);
  }
  for (const key of Object.keys(settings)) if (!record.settings.has(key)) broken.push(`nobody wrote ${key}`);
  const done = record.rotations.filter((outcome) => outcome === 'acknowledged').length;
  const perhaps = record.rotations.filter((outcome) => outcome === 'unknown').length;
  if (rotations < done || rotations > done + perhaps) broken.push(`the token was rotated ${rotations} times; ${done} were acknowledged and ${perhaps} unknown`);
  return broken;
}

/** Runs it all. */
export async function runFaults(options: FaultsOptions): Promise<FaultsResult> {
  const { folder, pki, firstPort, seconds, writers, random } = options;
  // Small limits, so that snapshots, compaction and catching up by snapshot happen within seconds.
  const config = { snapshotEntries: 2_000, trailingEntries: 500 };
  const cluster = await BeltCluster.start({ members: MEMBERS, folder, pki, firstPort, config, segmentBytes: 256 * 1024 });
  try {
    (await cluster.connect(20_000)).close();
    const until = performance.now() + seconds * 1_000;
    const connections = new Connections(cluster);
    const record = new Answered();
    const writing = Array.from({ length: writers }, (_, i) => write(connections, record, `w${i}`, random, until));
    const { kills, freezes } = await disturb(cluster, options, until);
    await Promise.all(writing);
    connections.close();
    const broken = brokenPromises(record, await settled(cluster));
    return {
      acknowledged: record.count('acknowledged'), refused: record.count('refused'), unknown: record.count('unknown'),
      kills, freezes, longestGapMs: record.longestGapMs, broken,
    };
  } finally {
    await cluster.stop();
  }
}
