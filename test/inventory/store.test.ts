import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

import { decodeState } from '../../src/inventory/state-file.ts';
import { emptyState } from '../../src/inventory/state.ts';
import { CoalescingWriter, StateStore } from '../../src/inventory/store.ts';

/** A disk whose writes end when the test says so. */
function slowDisk() {
  const writes: { content: string; end: (error?: Error) => void }[] = [];
  const write = (_file: string, content: string): Promise<void> =>
    new Promise((resolve, reject) => writes.push({ content, end: (error) => (error === undefined ? resolve() : reject(error)) }));
  return { writes, write };
}

/** Long enough for a write that is due to begin. */
const turn = async (): Promise<void> => {
  for (let n = 0; n < 3; n += 1) await new Promise((resolve) => setImmediate(resolve));
};
const fresh = () => emptyState('default', '0123456789abcdef0123456789abcdef', '');

it('a disk that takes a part of a file and no more leaves the old file as it was', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-file-'));
  try {
    const file = path.join(folder, 'agents.json');
    const module = new URL('../../src/inventory/atomic-file.ts', import.meta.url).href;
    const program = `const { replaceFileSync } = await import('${module}'); replaceFileSync('${file}', 'old'); try { replaceFileSync('${file}', 'x'.repeat(30000)); } catch (error) { console.log(error.code); }`;
    // A limit on the size of files does what a full disk does: a part is written, and how much is told.
    const said = execFileSync('sh', ['-c', 'ulimit -f 8; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(said).toBe('EFBIG\n');
    expect(readFileSync(file, 'utf8')).toBe('old');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('the state on disk', () => {
  it('5,000 changes during one write share the next', async () => {
    const disk = slowDisk();
    const store = new StateStore('state.json', fresh(), disk.write);
    const first = store.change((state) => void (state.hostKeys['a'] = { keys: [], source: 'first-sight', pinnedAt: '' }));
    await turn();
    const rest = Array.from({ length: 5000 }, (_, at) => store.change((state) => void (state.hostKeys[`n${at}`] = { keys: [], source: 'first-sight', pinnedAt: '' })));
    await turn();
    expect(disk.writes).toHaveLength(1);
    disk.writes[0]?.end();
    await first;
    await turn();
    disk.writes[1]?.end();
    await Promise.all(rest);
    expect(disk.writes).toHaveLength(2);
    expect(Object.keys(decodeState(disk.writes[1]?.content ?? '', '').hostKeys)).toHaveLength(5001);
  });

  it('what one turn of the event loop changes is on disk as a whole or not at all, the first change of it too', async () => {
    const disk = slowDisk();
    const store = new StateStore('state.json', fresh(), disk.write);
    const writesOf = (): number[] => disk.writes.map(({ content }) => Object.keys(decodeState(content, '').hostKeys).length);
    const batch = async (name: string): Promise<void> => {
      for (let n = 0; n < 100; n += 1) {
        void store.change((state) => void (state.hostKeys[name + n] = { keys: [], source: 'first-sight', pinnedAt: '' }));
        await Promise.resolve();
      }
    };
    await batch('a');
    await turn();
    expect(writesOf()).toEqual([100]);
    setImmediate(() => (disk.writes[0]?.end(), void batch('b')));
    await turn();
    expect(writesOf()).toEqual([100, 200]);
    disk.writes[1]?.end();
    await store.flush();
  });

  it('a change is not acknowledged by the write that began before it', async () => {
    const disk = slowDisk();
    const store = new StateStore('state.json', fresh(), disk.write);
    const first = store.change(() => undefined);
    await turn();
    let acknowledged = false;
    const second = store.change(() => undefined).then(() => (acknowledged = true));
    disk.writes[0]?.end();
    await first;
    await turn();
    expect(acknowledged).toBe(false);
    disk.writes[1]?.end();
    await second;
  });

  it('a write that fails is told to those it was for, and the next one goes on', async () => {
    const disk = slowDisk();
    const store = new StateStore('state.json', fresh(), disk.write);
    const lost = store.change(() => undefined);
    await turn();
    const next = store.change(() => undefined);
    disk.writes[0]?.end(new Error('ENOSPC'));
    await expect(lost).rejects.toMatchObject({ code: 'disk' });
    await turn();
    disk.writes[1]?.end();
    await expect(next).resolves.toBeUndefined();
  });

  it('is flushed when the changes that nobody waited for are on disk', async () => {
    const disk = slowDisk();
    const store = new StateStore('state.json', fresh(), disk.write);
    await store.flush();
    store.change(() => undefined).catch(() => undefined);
    await turn();
    store.change(() => undefined).catch(() => undefined);
    let flushed = false;
    const flush = store.flush().then(() => (flushed = true));
    disk.writes[0]?.end();
    await turn();
    expect(flushed).toBe(false);
    disk.writes[1]?.end();
    await flush;
  });

  it('never has two writes under way', async () => {
    let underWay = 0;
    const writer = new CoalescingWriter(async () => {
      underWay += 1;
      expect(underWay).toBe(1);
      await turn();
      underWay -= 1;
    });
    for (let round = 0; round < 20; round += 1) {
      const saves = [writer.save(), writer.save()];
      await turn();
      saves.push(writer.save());
      await Promise.all(saves);
    }
  });
});
