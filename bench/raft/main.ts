/**
 * `npm run bench:raft`: belt's Raft members against etcd, in the same run, on the same disk, with the same load; with TLS between all of them and
 * without. Options: --members 3,5 --writers 1,16,256 --seconds 2 --rounds 3 --trials 20 --parts load,failover,agents,million --only belt|etcd
 * --folder DIR --json
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { agentCalls } from './agent-calls.ts';
import { BeltCluster } from './belt-cluster.ts';
import { cpuMs, largestRss, type Contender } from './contender.ts';
import { EtcdCluster, etcdVersion } from './etcd-cluster.ts';
import { failover } from './failover.ts';
import { syncedAppends, tlsRoundTrips } from './floors.ts';
import { load, quantile, type LoadResult } from './load.ts';
import { makePki } from './pki.ts';

const { values: options } = parseArgs({
  options: {
    members: { type: 'string', default: '3,5' },
    writers: { type: 'string', default: '1,16,256' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    trials: { type: 'string', default: '20' },
    parts: { type: 'string', default: 'load,failover,agents' },
    only: { type: 'string', default: '' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const numbers = (text: string): number[] => text.split(',').map(Number);
const folder = mkdtempSync(join(options.folder, 'belt-bench-'));
const pki = join(folder, 'pki');
const parts = new Set(options.parts.split(','));
const ms = Number(options.seconds) * 1000;
const results: Record<string, unknown>[] = [];

/** One line of the tables. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function report(row: { what: string; who: string } & Record<string, unknown>): void {
  results.push(row);
  const { what, who, ...figures } = row;
  const shown = Object.entries(figures).map(([key, value]) => `${key} ${typeof value === 'number' ? Number(value.toPrecision(4)) : String(value)}`);
  say(`${what.padEnd(34)} ${who.padEnd(20)} ${shown.join('  ')}`);
}

async function start(who: string, members: number, tls: boolean): Promise<Contender> {
  const place = { members, folder: join(folder, `${who}-${members}-${tls}-${Date.now()}`), pki: tls ? pki : null };
  return who === 'etcd' ? EtcdCluster.start({ ...place, firstPort: 23_900 }) : BeltCluster.start({ ...place, firstPort: 23_800 });
}

/** Builds etcd's Go client, the fastest there is for it; null where Go or etcd's sources are not installed. */
function goClient(): string | null {
  const binary = join(folder, 'etcd-load');
  const built = spawnSync('go', ['build', '-o', binary, join(import.meta.dirname, 'etcd-load', 'main.go')], {
    env: { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOCACHE: join(tmpdir(), 'belt-bench-gocache') },
  });
  return built.status === 0 ? binary : null;
}

async function goLoad(binary: string, cluster: EtcdCluster, writers: number, tls: boolean): Promise<LoadResult> {
  const leader = (await cluster.leader())!;
  const endpoint = cluster.endpoints()[cluster.ids.indexOf(leader)]!;
  const child = spawn(binary, ['-endpoint', endpoint, '-writers', String(writers), '-ms', String(ms), ...(tls ? ['-pki', pki] : [])], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await new Promise((resolve) => child.once('exit', resolve));
  return JSON.parse(output) as LoadResult;
}

/** A contender by one of its clients. */
interface Way {
  readonly who: string;
  readonly cluster: Contender;
  readonly run: (writers: number) => Promise<LoadResult>;
}

type Figures = LoadResult & { readonly cpuUsPerWrite: number };

async function measure({ cluster, run }: Way, writers: number): Promise<Figures> {
  const before = cpuMs(cluster.pids());
  const result = await run(writers);
  // The CPU of the warm-up is in it, and so are its writes, as many a second as measured.
  return { ...result, cpuUsPerWrite: ((cpuMs(cluster.pids()) - before) * 1000) / (result.writes * ((ms + 500) / ms)) };
}

/** Of several rounds, the median of each figure. */
function medians(rounds: readonly Figures[]): Record<'perSecond' | 'p50Ms' | 'p99Ms' | 'cpuUsPerWrite' | 'moves', number> {
  const median = (key: 'perSecond' | 'p50Ms' | 'p99Ms' | 'cpuUsPerWrite'): number => quantile(rounds.map((round) => round[key]).sort((x, y) => x - y), 0.5);
  const moves = rounds.reduce((sum, round) => sum + (round.moves ?? 0), 0);
  return { perSecond: median('perSecond'), p50Ms: median('p50Ms'), p99Ms: median('p99Ms'), cpuUsPerWrite: median('cpuUsPerWrite'), moves };
}

/** The load on both in turn, several rounds of it: what else the machine does meanwhile falls on both alike. */
async function compare(members: number, tls: boolean, contenders: readonly string[], go: string | null): Promise<void> {
  const clusters = await Promise.all(contenders.map((who) => start(who, members, tls)));
  try {
    // Compiled code, full caches, connections.
    for (const cluster of clusters) await load(() => cluster.connect(20_000), 16, 1, 3_000);
    const ways = clusters.flatMap((cluster): Way[] => [
      { who: `${cluster.name} (Node client)`, cluster, run: (writers) => load(() => cluster.connect(20_000), writers, ms) },
      ...(cluster instanceof EtcdCluster && go !== null ? [{ who: 'etcd (Go client)', cluster, run: (writers: number) => goLoad(go, cluster, writers, tls) }] : []),
    ]);
    for (const writers of numbers(options.writers)) await compareAt(`${members} members, ${tls ? 'TLS' : 'plain'}, ${writers} writers`, ways, writers);
  } finally {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
  }
}

/** One row for each way, and the ratio to the better of etcd's. */
async function compareAt(what: string, ways: readonly Way[], writers: number): Promise<void> {
  const rounds = ways.map((): Figures[] => []);
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [i, way] of ways.entries()) rounds[i]!.push(await measure(way, writers));
  }
  const found = ways.map(({ who, cluster }, i) => ({ who, name: cluster.name, ...medians(rounds[i]!) }));
  for (const { who, perSecond, p50Ms, p99Ms, cpuUsPerWrite, moves } of found) {
    const lost = moves > 0 ? { 'leader lost': moves } : {};
    report({ what, who, 'writes/s': perSecond, 'p50 ms': p50Ms, 'p99 ms': p99Ms, 'members’ CPU µs/write': cpuUsPerWrite, ...lost });
  }
  const belt = found.find(({ name }) => name === 'belt');
  const etcd = found.filter(({ name }) => name === 'etcd').sort((a, b) => b.perSecond - a.perSecond)[0];
  if (belt === undefined || etcd === undefined) return;
  const ratio = (key: 'perSecond' | 'p50Ms' | 'p99Ms'): string => `${(belt[key] / etcd[key]).toFixed(2)}×`;
  report({ what, who: `belt : ${etcd.who}`, throughput: ratio('perSecond'), p50: ratio('p50Ms'), p99: ratio('p99Ms') });
}

async function measureFailover(who: string, members: number): Promise<void> {
  const trials = Number(options.trials);
  const cluster = await start(who, members, true);
  try {
    const times = await failover(cluster, trials, 1_500);
    report({ what: `${members} members, TLS, failover ×${trials}`, who, 'median ms': quantile(times, 0.5), 'min ms': times[0]!, 'max ms': times.at(-1)! });
  } finally {
    await cluster.stop();
  }
}

/** What whole agents acknowledge through their own calls: more than the members alone have to do. */
async function measureAgents(members: number): Promise<void> {
  for (const { writers, perSecond, p50Ms, p99Ms, cpuUsPerWrite } of await agentCalls(members, [1, 16], ms)) {
    report({
      what: `${members} agents, TLS, ${writers} writers`, who: 'belt (agents’ calls)',
      'writes/s': perSecond, 'p50 ms': p50Ms, 'p99 ms': p99Ms, 'agents’ CPU µs/write': cpuUsPerWrite,
    });
  }
}

/** A million writes to three members: memory and disk afterwards. */
async function measureMillion(): Promise<void> {
  const cluster = await BeltCluster.start({ members: 3, folder: join(folder, 'million'), pki, firstPort: 23_800 });
  try {
    const before = { rss: largestRss(cluster.pids()), cpu: cpuMs(cluster.pids()) };
    const began = performance.now();
    let writes = 0;
    let diskMax = 0;
    while (writes < 1_000_000) {
      writes += (await load(() => cluster.connect(20_000), 256, 2_000, 0)).writes;
      diskMax = Math.max(diskMax, cluster.diskBytes());
    }
    const seconds = (performance.now() - began) / 1000;
    report({
      what: `3 members, TLS, ${writes} writes`, who: 'belt', 'writes/s': writes / seconds, 'members’ CPU µs/write': ((cpuMs(cluster.pids()) - before.cpu) * 1000) / writes,
      'RSS before MB': before.rss / 1e6, 'RSS after MB': largestRss(cluster.pids()) / 1e6, 'disk now MB': cluster.diskBytes() / 1e6, 'disk at most MB': diskMax / 1e6,
    });
  } finally {
    await cluster.stop();
  }
}

async function main(): Promise<void> {
  const etcd = options.only === 'belt' ? null : etcdVersion();
  if (etcd === null && options.only !== 'belt') say('etcd is not installed (apt-get install etcd-server): belt alone is measured');
  const go = etcd === null || !parts.has('load') ? null : goClient();
  if (etcd !== null) say(`etcd ${etcd}${go === null && parts.has('load') ? '; its Go client cannot be built here (golang-go, golang-etcd-server-dev)' : ''}`);
  makePki(pki, ['m1', 'm2', 'm3', 'm4', 'm5', 'client']);
  report({ what: 'floor: fdatasync', who: 'one process', 'appends/s': await syncedAppends(folder, 2_000) });
  for (const inFlight of [1, 16]) report({ what: `floor: TLS, ${inFlight} in flight`, who: 'two processes', 'round trips/s': await tlsRoundTrips(pki, 23_700, inFlight, 2_000) });
  const contenders = [...(options.only === 'etcd' ? [] : ['belt']), ...(etcd === null ? [] : ['etcd'])];
  if (parts.has('load')) for (const tls of [true, false]) for (const members of numbers(options.members)) await compare(members, tls, contenders, go);
  for (const members of parts.has('failover') ? numbers(options.members) : []) {
    for (const who of contenders) await measureFailover(who, members);
  }
  if (parts.has('agents') && contenders.includes('belt')) for (const members of numbers(options.members)) await measureAgents(members);
  if (parts.has('million')) await measureMillion();
  if (options.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
