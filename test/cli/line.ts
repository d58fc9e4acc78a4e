/** Runs command lines in this process, in a folder of their own, and keeps what they print. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { Ports } from '../../src/cli/context.ts';
import { run } from '../../src/cli/run.ts';
import { memoryDriver, MemoryCloud } from '../provision/memory-driver.ts';

export interface Result {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Stage extends Disposable {
  readonly folder: string;
  readonly cloud: MemoryCloud;
  readonly env: Record<string, string>;
  /** `now` of the lines; changes only when a test changes it. */
  nowMs: number;
  readonly stop: AbortController;
  belt(...words: string[]): Promise<Result>;
}

/** A folder with nothing in it, and a cloud in memory behind the driver `local`. */
export function stage(): Stage {
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-line-'));
  const cloud = new MemoryCloud();
  const made: Stage = {
    folder, cloud, env: {}, nowMs: Date.parse('2026-01-02T03:04:05Z'), stop: new AbortController(),
    async belt(...words) {
      const result = { stdout: '', stderr: '' };
      const to = (name: 'stdout' | 'stderr') => ({ write: (text: string | Uint8Array) => void (result[name] += typeof text === 'string' ? text : Buffer.from(text).toString()) });
      const ports: Ports = { cwd: folder, env: made.env, now: () => made.nowMs, signal: made.stop.signal, drivers: { local: memoryDriver(cloud) } };
      const exit = await run(words, { stdout: to('stdout'), stderr: to('stderr'), stdin: null }, ports, '0.0.0');
      return { exit, ...result };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
  return made;
}
