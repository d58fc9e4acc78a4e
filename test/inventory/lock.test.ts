import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type Holder, isStale, processStartTime, takeLock } from '../../src/inventory/lock.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'belt-lock-'));
  file = path.join(folder, 'lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

const holder = (fields: Partial<Holder>): Holder => ({ pid: 4_000_000, startTime: '1', hostname: hostname(), command: 'create', since: '2026-01-01T00:00:00.000Z', ...fields });

describe('the lock of a cluster', () => {
  it('lets one in at a time and says who holds it since when', () => {
    const lock = takeLock(file, 'create', Date.parse('2026-01-02T03:04:05Z'));
    expect(() => takeLock(file, 'rm', 0)).toThrow(`the cluster is being changed by 'belt create' (process ${process.pid}, since 2026-01-02T03:04:05.000Z)`);
    lock.release();
    takeLock(file, 'rm', 0).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each<[string, Partial<Holder>, boolean]>([
    ['a process that is gone', {}, true],
    ['a process of that number that started at another time', { pid: process.pid, startTime: '1' }, true],
    ['a living process', { pid: process.pid, startTime: processStartTime(process.pid) ?? '' }, false],
    ['a process on another host', { hostname: 'elsewhere' }, false],
  ])('held by %s', (_who, fields, stale) => {
    expect(isStale(holder(fields), hostname(), processStartTime)).toBe(stale);
    writeFileSync(file, `${JSON.stringify(holder(fields))}\n`);
    if (stale) {
      const lock = takeLock(file, 'ls', 0);
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ pid: process.pid, command: 'ls' });
      lock.release();
    } else expect(() => takeLock(file, 'ls', 0)).toThrow(expect.objectContaining({ code: 'locked' }));
  });

  it('held by a process that has ended and that nobody buries', async () => {
    // Its parent goes on as a program that knows nothing of children; it says their number first.
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const [said] = (await once(parent.stdout, 'data')) as [Buffer];
      const pid = Number(said);
      while (!readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')) await new Promise((resolve) => setImmediate(resolve));
      const startTime = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19] ?? '';
      expect(isStale(holder({ pid, startTime }), hostname(), processStartTime)).toBe(true);
    } finally {
      parent.kill('SIGKILL');
    }
  });

  it('takes over a lock whose takeover died half-way', () => {
    writeFileSync(file, `${JSON.stringify(holder({}))}\n`);
    writeFileSync(`${file}.takeover`, `${JSON.stringify(holder({ pid: 4_000_001 }))}\n`);
    takeLock(file, 'ls', 0).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('does not give away what another has taken over', () => {
    const lock = takeLock(file, 'create', 0);
    writeFileSync(file, `${JSON.stringify(holder({ hostname: 'elsewhere' }))}\n`);
    lock.release();
    expect(readdirSync(folder)).toEqual(['lock']);
  });

  it('of twelve processes that find the same stale lock at once, one at a time gets in', async () => {
    writeFileSync(file, `${JSON.stringify(holder({}))}\n`);
    const module = new URL('../../src/inventory/lock.ts', import.meta.url).href;
    const log = path.join(folder, 'log');
    const program = `
      const { takeLock } = await import(${JSON.stringify(module)});
      const { appendFileSync } = await import('node:fs');
      process.stdout.write('ready\\n');
      process.stdin.once('data', () => {
        for (let round = 0, got = 0; round < 100_000 && got < 3; round += 1) {
          try {
            const lock = takeLock(${JSON.stringify(file)}, 'x', 0);
            appendFileSync(${JSON.stringify(log)}, 'in\\n');
            appendFileSync(${JSON.stringify(log)}, 'out\\n');
            lock.release();
            got += 1;
          } catch (error) { if (error.code !== 'locked') { console.error(error); process.exit(1); } }
        }
        process.exit(0);
      });`;
    const children = Array.from({ length: 12 }, () => spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] }));
    await Promise.all(children.map((child) => once(child.stdout, 'data')));
    const ended = children.map((child) => once(child, 'exit'));
    for (const child of children) child.stdin.write('go\n');
    expect((await Promise.all(ended)).map(([code]) => code as number)).toEqual(children.map(() => 0));
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, at) => (at % 2 === 0 ? 'in' : 'out')));
    expect(lines.length).toBeGreaterThan(24);
  });
});
