/**
 * `npm run bench:join-docker`: `belt swarm join` of ten workers beside what a shell does without belt, on the same machines in the same run, in turns:
 * a loop of `ssh … docker swarm join`, and the same all at once. Machines of the docker driver with real engines; engines and agents are there before.
 *
 *     bin/node bench/join-docker/main.ts [--rounds 20] [--workers 10]
 *
 * belt's time is the whole command, its start and the agents' own join (certificates, Raft) among it. A round counts as failed when its command fails or
 * the manager does not list every worker as ready within a minute. After each the engines must be in no swarm again: one that hung in its leave (Docker 20.10
 * does that now and then) is restarted, and said; no way of joining is to pay for it. Root and Docker: `.ci/engine start; eval $(.ci/engine env)`.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '20' }, workers: { type: 'string', default: '10' } } });
const [rounds, workers] = [Number(values.rounds), Number(values.workers)];
const BELT = fileURLToPath(new URL('../../bin/belt', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'belt-bench-join-'));
const NODES = `'node[1:${workers}]'`;

interface Said { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs a line of bash in the benchmark's folder, `belt` and `on` (plain ssh to an address) among its words. */
function shell(line: string): Promise<Said> {
  const words = `belt() { "${BELT}" "$@"; }; on() { ssh -q -i .belt/bench/ssh_key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes "root@$1" "$2"; }`;
  return new Promise((resolve) => {
    execFile('bash', ['-c', `${words}; ${line}`], { cwd: folder, env: { ...process.env, HOME: folder }, timeout: 900_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
  });
}
async function must(line: string): Promise<string> {
  const said = await shell(line);
  if (said.code !== 0) throw new Error(`${line}\n${said.stdout}${said.stderr}`);
  return said.stdout.trim();
}

interface Way {
  readonly name: string;
  readonly join: string;
  /** Puts everything back to where it was. */
  readonly leave: string;
  readonly ms: number[];
  failed: number;
}

/** The machines' addresses, known when they are made. */
let manager = '';
let addresses: readonly string[] = [];
/** Engines restarted between joins. */
let restarts = 0;

/** The ways, with the addresses and the token of this run. */
async function ways(): Promise<Way[]> {
  manager = await must('belt ip mg0');
  const token = await must(`on ${manager} 'docker swarm join-token -q worker'`);
  addresses = (JSON.parse(await must('belt ls --json')) as { name: string; publicIpv4: string }[]).filter(({ name }) => name.startsWith('node')).map(({ publicIpv4 }) => publicIpv4);
  const each = (command: string, between: string): string => `for a in ${addresses.join(' ')}; do on $a '${command}' ${between}; done`;
  const join = `docker swarm join --token ${token} ${manager}:2377`;
  const leave = `${each('timeout 30 docker swarm leave || timeout 90 systemctl restart docker', '& pids="$pids $!"')}; wait; on ${manager} 'docker node ls --filter role=worker -q | xargs -r docker node rm --force'`;
  const atOnce = `pids=; ${each(join, '& pids="$pids $!"')}; for p in $pids; do wait $p || exit 1; done`;
  return [
    { name: 'belt swarm join', join: `belt swarm join mg0 ${NODES}`, leave: `belt swarm leave --yes ${NODES}`, ms: [], failed: 0 },
    { name: 'ssh, one after another', join: each(join, '|| exit 1'), leave, ms: [], failed: 0 },
    { name: 'ssh, all at once', join: atOnce, leave, ms: [], failed: 0 },
  ];
}

/** Whether the manager lists every worker as ready within a minute. */
async function allReady(): Promise<boolean> {
  const end = Date.now() + 60_000;
  while (Date.now() < end) {
    const rows = (await shell("belt --host mg0 docker node ls --filter role=worker --format '{{.Status}}'")).stdout.trim().split('\n');
    if (rows.length === workers && rows.every((row) => row.trim() === 'Ready')) return true;
  }
  return false;
}

async function round(way: Way): Promise<void> {
  const began = performance.now();
  const said = await shell(way.join);
  way.ms.push(performance.now() - began);
  if (said.code !== 0 || !(await allReady())) {
    way.failed += 1;
    process.stderr.write(`${way.name}: exit ${said.code}\n${said.stdout}${said.stderr}\n`);
  }
  await shell(way.leave);
  await outOfAll(way);
}

/** Brings every engine out of every swarm, however the leave before ended. */
async function outOfAll(way: Way): Promise<void> {
  // An engine that hangs says `inactive` while its leave is under way, and takes no join: only one that refuses another leave at once is out.
  const out = '[ "$(timeout 10 docker info --format {{.Swarm.LocalNodeState}})" = inactive ] && timeout 10 docker swarm leave 2>&1 | grep -q "not part of a swarm"';
  const again = `timeout 90 systemctl restart docker; docker swarm leave --force; ${out}`;
  const hung = (await must(`for a in ${addresses.join(' ')}; do on $a '${out}' || echo $a; done`)).split('\n').filter((address) => address !== '');
  for (const address of hung) {
    process.stderr.write(`an engine hung in its leave after ${way.name}: restarted\n`);
    restarts += 1;
    await must(`on ${address} '${again}'`);
  }
  await must(`on ${manager} 'docker node ls --filter role=worker -q | xargs -r docker node rm --force'`);
}

function line({ name, ms, failed }: Way): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number): string => `${((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) / 1000).toFixed(2)} s`.padStart(9);
  return `${name.padEnd(24)}${at(0)}${at(0.5)}${at(1)}${String(failed).padStart(8)}`;
}

try {
  await must('belt cluster new --driver docker bench');
  await must("belt create 1gb mg0 && belt create 512mb " + NODES);
  await must(`belt swarm init mg0 && belt bootstrap ${NODES}`);
  const all = await ways();
  for (let number = 1; number <= rounds; number += 1) {
    for (const way of all) await round(way);
    process.stderr.write(`round ${number} of ${rounds}: ${all.map(({ ms }) => `${((ms.at(-1) ?? 0) / 1000).toFixed(2)} s`).join(', ')}\n`);
  }
  process.stdout.write(`${workers} workers join, ${rounds} rounds\n${''.padEnd(24)}${'best'.padStart(9)}${'median'.padStart(9)}${'worst'.padStart(9)}${'failed'.padStart(8)}\n${all.map(line).join('\n')}\nengines that hung in a leave and were restarted between rounds: ${restarts}\n`);
} finally {
  await shell('belt cluster rm --yes bench');
  rmSync(folder, { recursive: true, force: true });
}
