/**
 * Bootstrap and join as belt does them, on machines of the local driver, beside what nobody can do without: starting as many bare Node processes.
 *
 *     bin/node bench/join/bootstrap.ts [--machines 100] [--rounds 3] [--window 50]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const BELT = fileURLToPath(new URL('../../bin/belt', import.meta.url));

interface Figures {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** Starts `count` processes, `window` at once, each counted when it says its first word; all live until the last one does. */
async function bareNode(count: number, window: number): Promise<Figures> {
  const children: ChildProcess[] = [];
  const began = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: window }, async () => {
    while (next++ < count) {
      const child = spawn(process.execPath, ['-e', "process.stdout.write('x');setInterval(()=>{},1e9)"], { stdio: ['ignore', 'pipe', 'ignore'] });
      children.push(child);
      await once(child.stdout, 'data');
    }
  }));
  const wallMs = performance.now() - began;
  for (const child of children) child.kill('SIGKILL');
  return { wallMs, cpuMs: Number.NaN };
}

/** A line of belt as a process of its own; CPU and memory are the CLI's, not the agents'. */
async function belt(folder: string, words: string): Promise<Figures> {
  const env = { ...process.env, BELT_LOCAL_HOME: join(folder, 'local'), XDG_CACHE_HOME: join(folder, 'cache'), BELT_DRIVER: 'local' };
  const report = join(folder, 'time');
  const script = `TIMEFORMAT='%R %U %S'; { time ${BELT} ${words} >/dev/null 2>${folder}/log; } 2>${report} || { cat ${folder}/log >&2; exit 1; }; cat ${report}`;
  const child = spawn('bash', ['-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>]);
  if (code !== 0) throw new Error(`belt ${words} failed`);
  const [wall = 0, user = 0, system = 0] = said.trim().split(' ').map(Number);
  return { wallMs: wall * 1000, cpuMs: (user + system) * 1000 };
}

async function round(count: number, window: number, results: Map<string, Figures[]>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'belt-bench-'));
  const note = (name: string, figures: Figures): void => void results.set(name, [...(results.get(name) ?? []), figures]);
  try {
    writeFileSync(join(folder, '.belt.yml'), `concurrency: ${window}\n`);
    await belt(folder, `create 512mb mg0 'node[1:${count}]'`);
    await belt(folder, 'swarm init mg0');
    note('bare Node processes', await bareNode(count, window));
    note('belt bootstrap', await belt(folder, `bootstrap 'node[1:${count}]'`));
    note('belt bootstrap again', await belt(folder, `bootstrap 'node[1:${count}]'`));
    note('belt swarm join', await belt(folder, `swarm join mg0 'node[1:${count}]'`));
    note('belt swarm nodes', await belt(folder, 'swarm nodes'));
  } finally {
    await belt(folder, 'cluster rm default --yes --force').catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const { values } = parseArgs({ options: { machines: { type: 'string', default: '100' }, rounds: { type: 'string', default: '3' }, window: { type: 'string', default: '50' } } });
const [count, rounds, window] = [Number(values.machines), Number(values.rounds), Number(values.window)];
const results = new Map<string, Figures[]>();
for (let at = 0; at < rounds; at += 1) await round(count, window, results);
process.stdout.write(`${count} machines of the local driver, ${window} at once, medians of ${rounds}\n`);
process.stdout.write('WHAT                   WALL s  WALL ms/machine  CLI CPU ms/machine\n');
for (const [name, list] of results) {
  const [wall, cpu] = [median(list.map(({ wallMs }) => wallMs)), median(list.map(({ cpuMs }) => cpuMs))];
  process.stdout.write(`${name.padEnd(21)}  ${(wall / 1000).toFixed(2).padStart(6)}  ${(wall / count).toFixed(1).padStart(15)}  ${(Number.isNaN(cpu) ? '-' : (cpu / count).toFixed(2)).padStart(18)}\n`);
}
