/** Kills the CLI at chosen moments: a line is run once to count them, then as often as there are seeds, each time dying somewhere else. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const DIE_AT = fileURLToPath(new URL('./die-at.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Death {
  /** The moment, from 1. */
  readonly at: number;
  readonly how: 'before' | 'middle' | 'after';
}

/** A folder to run lines in, with machines of its own. */
export class CrashSite {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'belt-crash-'));
  readonly env: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: this.folder, BELT_LOCAL_HOME: path.join(this.folder, 'm') };

  /** Runs a line of belt as a process of its own. */
  async belt(words: readonly string[], env: NodeJS.ProcessEnv = {}, preload: readonly string[] = []): Promise<Ended> {
    const child = spawn(process.execPath, [...preload, MAIN, ...words], { cwd: this.folder, env: { ...this.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    // `exit`, not `close`: a daemon that the line started may keep the pipes.
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    child.stdout.destroy();
    child.stderr.destroy();
    return { code, signal, stdout, stderr };
  }

  /** What a line of words without blanks in them prints. Rejects where it fails. */
  async done(line: string): Promise<string> {
    const { code, stdout, stderr } = await this.belt(line.split(' '));
    if (code !== 0) throw new Error(`belt ${line} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** How many moments the line has. It is run to its end. */
  async countMoments(words: readonly string[]): Promise<number> {
    const file = path.join(this.folder, 'moments');
    const ended = await this.belt(words, { BELT_COUNT_TO: file }, ['--import', DIE_AT]);
    if (ended.code !== 0) throw new Error(`belt ${words.join(' ')} ended with ${ended.code}: ${ended.stderr}`);
    return Number(readFileSync(file, 'utf8'));
  }

  /** Runs the line and lets it die. A line that ends before its moment (there is less to do than before) is as good. */
  die(words: readonly string[], death: Death): Promise<Ended> {
    return this.belt(words, { BELT_DIE_AT: String(death.at), BELT_DIE_HOW: death.how }, ['--import', DIE_AT]);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** `count` deaths among `moments`, spread by `seed` (mulberry32), so that a failing one can be run again. */
export function deaths(seed: number, moments: number, count: number): Death[] {
  let state = seed >>> 0;
  const chance = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const manners = ['before', 'middle', 'after'] as const;
  // One in each part of the line, so that few seeds still reach its end.
  return Array.from({ length: count }, (_, part) => ({ at: 1 + Math.floor(((part + chance()) / count) * moments), how: manners[Math.floor(chance() * 3)] ?? 'before' }));
}
