/**
 * `bin/node bench/startup/main.ts`: how long `belt --help` and `belt ls` take as packaged, with a cold and a warm compile cache, beside a bare
 * `node -e 0`; and the same typed as users do, by the shell script in front. Medians of BELT_BENCH_ROUNDS (21) rounds, interleaved, so that a
 * busy moment hits all alike.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROUNDS = Number(process.env['BELT_BENCH_ROUNDS'] ?? 21);
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'belt-startup-'));
const warm = path.join(folder, 'warm');
const project = path.join(folder, 'project');
const installed = path.join(folder, 'prefix/node_modules/belt');
const typed = path.join(folder, 'prefix/bin/belt');
const belt = path.join(installed, 'dist/belt.cjs');
const node = process.execPath;

interface Contender {
  readonly name: string;
  readonly words: readonly [string, ...string[]];
  readonly cache: 'cold' | 'warm';
}

const contenders: readonly Contender[] = [
  { name: 'node -e 0', words: [node, '-e', '0'], cache: 'warm' },
  { name: 'belt --help, cold', words: [node, belt, '--help'], cache: 'cold' },
  { name: 'belt --help, warm', words: [node, belt, '--help'], cache: 'warm' },
  { name: 'belt ls, cold', words: [node, belt, 'ls'], cache: 'cold' },
  { name: 'belt ls, warm', words: [node, belt, 'ls'], cache: 'warm' },
  { name: 'typed belt ls, cold', words: [typed, 'ls'], cache: 'cold' },
  { name: 'typed belt ls, warm', words: [typed, 'ls'], cache: 'warm' },
];

/** Wall time of one run, milliseconds. */
function time({ name, words: [program, ...words], cache }: Contender, round: number): number {
  const NODE_COMPILE_CACHE = cache === 'warm' ? warm : path.join(folder, `cold-${round}-${name.replaceAll(/\W/g, '')}`);
  const env = { ...process.env, BELT_LOCAL_HOME: path.join(folder, 'm'), NODE_COMPILE_CACHE };
  const began = performance.now();
  const { status, stderr } = spawnSync(program, words, { cwd: project, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
  return performance.now() - began;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** What `npm install --global` makes of the package, without its copies of the dependencies. */
function install(): void {
  const build = spawnSync(node, [path.join(root, 'scripts/build.ts')], { stdio: 'inherit' });
  if (build.status !== 0) process.exit(1);
  mkdirSync(installed, { recursive: true });
  for (const part of ['bin', 'dist', 'templates', 'package.json']) cpSync(path.join(root, part), path.join(installed, part), { recursive: true });
  for (const name of readdirSync(path.join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(path.join(root, 'node_modules', name), path.join(folder, 'prefix/node_modules', name));
  }
  mkdirSync(path.dirname(typed));
  symlinkSync('../node_modules/belt/bin/belt', typed);
}

try {
  install();
  // Somewhere to list: a project with a machine, so that `ls` asks its driver.
  mkdirSync(project);
  const line = (...words: string[]): void => {
    const { status } = spawnSync(typed, words, { cwd: project, env: { ...process.env, BELT_LOCAL_HOME: path.join(folder, 'm') }, stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) throw new Error(`belt ${words.join(' ')} ended with ${status}`);
  };
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
