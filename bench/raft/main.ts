/**
 * `npm run bench:raft`: belt's Raft members against etcd, in the same run, on the same disk, with the same load; with TLS between all of them and
 * without. Options: --members 3,5 --writers 1,16,256 --seconds 4 --trials 20 --million --only belt|etcd --folder DIR --json
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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
    seconds: { type: 'string', default: '4' },
    trials: { type: 'string', default: '20' },
    million: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const numbers = (text: string): number[] => text.split(',').map(Number);
const folder = mkdtempSync(join(options.folder, 'belt-bench-'));
const pki = join(folder, 'pki');
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

/** Throughput and latency of one contender, by each client it has. */
async function measure(who: string, members: number, tls: boolean, go: string | null): Promise<Map<number, LoadResult>> {
  const what = (writers: number): string => `${members} members, ${tls ? 'TLS' : 'plain'}, ${writers} writers`;
  const best = new Map<number, LoadResult>();
  const cluster = await start(who, members, tls);
  try {
    // Both contenders get warm first: compiled code, full caches, connections.
    await load(() => cluster.connect(20_000), 16, 1, 3_000);
    for (const writers of numbers(options.writers)) {
      for (const client of who === 'etcd' && go !== null ? ['Node', 'Go'] : ['Node']) {
        const cpuBefore = cpuMs(cluster.pids());
        const result = client === 'Go' ? await goLoad(go!, cluster as EtcdCluster, writers, tls) : await load(() => cluster.connect(20_000), writers, ms);
        // The CPU of the warm-up is in it, and so are its writes, as many a second as measured.
        const cpuUsPerWrite = ((cpuMs(cluster.pids()) - cpuBefore) * 1000) / (result.writes * ((ms + 500) / ms));
        report({ what: what(writers), who: `${who} (${client} client)`, 'writes/s': result.perSecond, 'p50 ms': result.p50Ms, 'p99 ms': result.p99Ms, 'members’ CPU µs/write': cpuUsPerWrite, ...(result.moves ? { 'leader lost': result.moves } : {}) });
        if ((best.get(writers)?.perSecond ?? 0) < result.perSecond) best.set(writers, result);
      }
    }
  } finally {
    await cluster.stop();
  }
  return best;
}

async function measureFailover(who: string, members: number): Promise<void> {
  const trials = Number(options.trials);
  if (trials === 0) return;
  const cluster = await start(who, members, true);
  try {
    const times = await failover(cluster, trials, 1_500);
    report({ what: `${members} members, TLS, failover ×${trials}`, who, 'median ms': quantile(times, 0.5), 'min ms': times[0]!, 'max ms': times.at(-1)! });
  } finally {
    await cluster.stop();
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
  const go = etcd === null ? null : goClient();
  if (etcd !== null) say(`etcd ${etcd}${go === null ? '; its Go client cannot be built here (golang-go, golang-etcd-server-dev)' : ''}`);
  makePki(pki, ['m1', 'm2', 'm3', 'm4', 'm5', 'client']);
  report({ what: 'floor: fdatasync', who: 'one process', 'appends/s': await syncedAppends(folder, 2_000) });
  for (const inFlight of [1, 16]) report({ what: `floor: TLS, ${inFlight} in flight`, who: 'two processes', 'round trips/s': await tlsRoundTrips(pki, 23_700, inFlight, 2_000) });
  for (const tls of [true, false]) {
    for (const members of numbers(options.members)) {
      const belt = options.only === 'etcd' ? null : await measure('belt', members, tls, null);
      const other = etcd === null ? null : await measure('etcd', members, tls, go);
      if (belt === null || other === null) continue;
      for (const [writers, result] of belt) {
        const than = other.get(writers)!;
        report({ what: `${members} members, ${tls ? 'TLS' : 'plain'}, ${writers} writers`, who: 'belt : best of etcd', throughput: `${(result.perSecond / than.perSecond).toFixed(2)}×`, 'p50': `${(result.p50Ms / than.p50Ms).toFixed(2)}×` });
      }
    }
  }
  for (const members of numbers(options.members)) {
    if (options.only !== 'etcd') await measureFailover('belt', members);
    if (etcd !== null) await measureFailover('etcd', members);
  }
  if (options.million) await measureMillion();
  if (options.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
