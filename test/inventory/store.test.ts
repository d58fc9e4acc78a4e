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

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const fresh = () => emptyState('default', '0123456789abcdef0123456789abcdef', '');

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
