/** `bin/belt` as a user runs it: a process of its own in a folder of its own, with nothing in its environment but what a test puts there. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const BELT = fileURLToPath(new URL('../../bin/belt', import.meta.url));

export interface Ran {
  /** Null: ended by a signal. */
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
}

export interface CommandLine {
  readonly folder: string;
  readonly env: Record<string, string>;
  /** Runs a line to its end. */
  belt(...words: string[]): Promise<Ran>;
  /** Starts a line in a process group of its own. */
  start(...words: string[]): Running;
  /** Reads the state file of a cluster. */
  state(cluster: string): { machines: Record<string, { id: string }>; orders: Record<string, unknown>; hostKeys: Record<string, { keys: string[]; source: string }> };
  remove(): void;
}

/** A folder with `config` as its `.belt.yml`. */
export function commandLine(config: string, env: Readonly<Record<string, string>> = {}): CommandLine {
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-cloud-'));
  if (config !== '') writeFileSync(path.join(folder, '.belt.yml'), config);
  const all: Record<string, string> = { PATH: process.env['PATH'] ?? '', HOME: folder, ...env };
  const start = (words: readonly string[]): Running => {
    const child = spawn(BELT, words, { cwd: folder, env: all, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = new Promise<Ran>((resolve, reject) => {
      const text = { stdout: '', stderr: '' };
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text.stdout += chunk));
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text.stderr += chunk));
      child.once('error', reject);
      child.once('close', (exit) => resolve({ exit, ...text }));
    });
    return { child, ended };
  };
  return {
    folder, env: all,
    belt: (...words) => start(words).ended,
    start: (...words) => start(words),
    state: (cluster) => {
      const parsed = JSON.parse(readFileSync(path.join(folder, '.belt', cluster, 'state.json'), 'utf8')) as Record<string, unknown>;
      return (parsed['body'] ?? parsed) as ReturnType<CommandLine['state']>;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The rows of a table belt printed, each as its words. */
export function rows(stdout: string): string[][] {
  return stdout.trimEnd().split('\n').map((line) => line.trim().split(/\s{2,}/));
}
