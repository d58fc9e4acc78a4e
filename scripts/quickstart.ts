/**
 * `npm run quickstart`: the product in a minute and a half. Every step is a belt command that is printed before it runs, in a temporary folder on the
 * driver `local`; whatever happens, nothing of it is left.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const belt = fileURLToPath(new URL('../bin/belt', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'belt-quickstart-'));
const home = join(folder, 'local');
const stop = new AbortController();
const env: Record<string, string | undefined> = { ...process.env, BELT_LOCAL_HOME: home, XDG_CACHE_HOME: join(folder, 'cache'), BELT_CLUSTER: undefined, BELT_DRIVER: 'local' };
const began = performance.now();
const seconds = (from: number): string => `${((performance.now() - from) / 1000).toFixed(1)} s`;

interface Ran {
  readonly code: number;
  readonly stdout: string;
}

/** Runs a line of belt. `show`: with its output, as a person would see it. */
function run(words: readonly string[], show: boolean): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(belt, words, { cwd: folder, env, stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'ignore'] });
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, stdout }));
  });
}

/** A step of the show: the line as one would type it, then what belt says. */
async function step(...words: string[]): Promise<void> {
  stop.signal.throwIfAborted();
  const typed = words.map((word) => (/[[\]*?();&|<> ]/.test(word) ? `'${word}'` : word)).join(' ');
  console.log(`\n$ belt ${typed}`);
  const start = performance.now();
  const { code } = await run(words, true);
  stop.signal.throwIfAborted();
  if (code !== 0) throw new Error(`belt ${typed} ended with ${code}`);
  console.log(`  (${seconds(start)})`);
}

interface Status {
  readonly leader: string | null;
  readonly reachable: number;
}

/** Asks again until the swarm is as wanted. */
async function until(wanted: (status: Status) => boolean, what: string, seconds_: number): Promise<Status> {
  const deadline = performance.now() + seconds_ * 1000;
  for (;;) {
    stop.signal.throwIfAborted();
    const { code, stdout } = await run(['swarm', 'status', '--json'], false);
    const status = code === 0 ? (JSON.parse(stdout) as Status) : null;
    if (status !== null && wanted(status)) return status;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${seconds_} s`);
    await sleep(50);
  }
}

async function show(): Promise<void> {
  console.log(`belt quickstart, in ${folder}: five managers over three datacenters and ten workers, on this machine.`);
  await step('create', '8gb', 'mg[0:4]', '--region', 'sgp1,nyc3,fra1');
  await step('create', '512mb', 'node[1:10]', '--region', 'sgp1,nyc3,fra1');
  await step('bootstrap', 'mg[0:4],node[1:10]');
  await step('topology', '5/3', '--datacenters', 'sgp1,nyc3,fra1');
  await step('swarm', 'form', '5/3', 'mg[0:4]');
  await step('swarm', 'join', 'mg0', 'node[1:10]');
  await step('ls');
  await step('swarm', 'status');

  const { leader } = await until(({ leader: one }) => one !== null, 'a leader', 10);
  console.log(`\nNow the power of the leader's machine, ${leader}, is cut.`);
  // Asked all the while, so that the time without a leader is seen from outside: from the old one's last answer to the new one's first.
  let answered = performance.now();
  const watching = until((status) => {
    if (status.leader === leader) answered = performance.now();
    return status.leader !== null && status.leader !== leader;
  }, 'a new leader', 60);
  watching.catch(() => undefined);
  await step('kill', leader ?? '');
  const next = await watching;
  console.log(`\n${next.leader} leads now, at most ${seconds(answered)} after ${leader} last answered.`);
  await step('swarm', 'status');
  await step('start', leader ?? '');
  const back = await until((status) => status.reachable === 5, `${leader} is back`, 30);
  console.log(`\n${leader} is back: ${back.reachable} of 5 managers reachable, led by ${back.leader}.`);
  await step('swarm', 'nodes');
  console.log(`\nAll of it took ${seconds(began)}. Cleaning up.`);
  await step('cluster', 'rm', 'default', '--yes', '--force');
}

/** The machines' processes end when their folder goes; waits until the last one has. */
async function cleanUp(): Promise<void> {
  const host = hostProcess();
  rmSync(folder, { recursive: true, force: true });
  const deadline = performance.now() + 20_000;
  while (host !== null && existsSync(`/proc/${host}`) && performance.now() < deadline) await sleep(50);
  rmSync(folder, { recursive: true, force: true });
}

function hostProcess(): number | null {
  try {
    return (JSON.parse(readFileSync(join(home, 'host.json'), 'utf8')) as { pid: number }).pid;
  } catch {
    return null;
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(new Error('interrupted')));
try {
  await show();
  console.log(`
What to type next, in a folder of your own:
  ${belt} create 512mb 'node[1:3]'        machines on this computer; a cloud's with -d digitalocean, ec2 or azure
  ${belt} swarm init node1                a swarm with one manager
  ${belt} swarm join node1 'node[2:3]'    and two workers
  ${belt} --help                          everything else`);
} catch (error) {
  console.error(`\nbelt quickstart: ${(error as Error).message}`);
  process.exitCode = stop.signal.aborted ? 130 : 1;
} finally {
  await cleanUp();
}
