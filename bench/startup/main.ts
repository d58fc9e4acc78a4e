/**
 * `bin/node bench/startup/main.ts`: how long `belt --help` and `belt ls` take as packaged, with a cold and a warm compile cache, beside a bare
 * `node -e 0` and an import of nothing but yargs. Medians of BELT_BENCH_ROUNDS (21) rounds, interleaved, so that a busy moment hits all alike.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROUNDS = Number(process.env['BELT_BENCH_ROUNDS'] ?? 21);
const root = fileURLToPath(new URL('../..', import.meta.url));
const belt = path.join(root, 'dist/belt.js');
const folder = mkdtempSync(path.join(tmpdir(), 'belt-startup-'));
const warm = path.join(folder, 'warm');

interface Contender {
  readonly name: string;
  readonly words: readonly string[];
  readonly cache: 'none' | 'cold' | 'warm';
}

const contenders: readonly Contender[] = [
  { name: 'node -e 0', words: ['-e', '0'], cache: 'none' },
  { name: 'belt --help, cold', words: [belt, '--help'], cache: 'cold' },
  { name: 'belt --help, warm', words: [belt, '--help'], cache: 'warm' },
  { name: 'belt ls, cold', words: [belt, 'ls'], cache: 'cold' },
  { name: 'belt ls, warm', words: [belt, 'ls'], cache: 'warm' },
];

/** Wall time of one run, milliseconds. */
function time({ name, words, cache }: Contender, round: number): number {
  const NODE_COMPILE_CACHE = cache === 'warm' ? warm : path.join(folder, `cold-${round}-${name.length}`);
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, words, { cwd: path.join(folder, 'project'), env: { ...process.env, BELT_LOCAL_HOME: path.join(folder, 'm'), NODE_COMPILE_CACHE }, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
  return performance.now() - began;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

try {
  const build = spawnSync(process.execPath, [path.join(root, 'scripts/build.ts')], { stdio: 'inherit' });
  if (build.status !== 0) process.exit(1);
  // Somewhere to list: a project with a machine, so that `ls` asks its driver.
  const project = path.join(folder, 'project');
  mkdirSync(project);
  const line = (...words: string[]): void => void spawnSync(process.execPath, [belt, ...words], { cwd: project, env: { ...process.env, BELT_LOCAL_HOME: path.join(folder, 'm') }, stdio: 'inherit' });
  line('create', '512mb', 'node1');
  const times = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  for (const contender of contenders) time(contender, -1);
  for (let round = 0; round < ROUNDS; round += 1) for (const contender of contenders) times.get(contender.name)?.push(time(contender, round));
  const bare = median(times.get('node -e 0') ?? []);
  for (const [name, values] of times) console.log(`${name.padEnd(20)} ${median(values).toFixed(0).padStart(5)} ms   ${(median(values) / bare).toFixed(2)} × bare`);
  line('cluster', 'rm', 'default', '--yes');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
