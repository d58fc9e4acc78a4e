/** What every disk must do, whatever it is made of. */
import { describe, expect, test } from 'vitest';
import type { Disk, DiskFile } from '../../../src/swarm-agent/log/disk.ts';

/** Runs the suite. `make` gives an empty disk; `settle` lets syncs under way end (a real disk ends them by itself). */
export function diskConformance(name: string, make: () => { disk: Disk; settle: () => void }): void {
  const synced = ({ settle }: { settle: () => void }, ask: (done: (error: Error | null) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      ask((error) => (error === null ? resolve() : reject(error)));
      settle();
    });
  const text = (file: DiskFile): string => file.read(0, file.size()).toString();

  describe(`${name} as a disk`, () => {
    test('keeps what is written where it is written, and reads gaps as zeros', () => {
      const { disk } = make();
      const file = disk.open('a');
      file.write(4, Buffer.from('world'));
      file.write(0, Buffer.from('hi'));
      expect([text(file), file.size()]).toEqual(['hi\0\0world', 9]);
      expect(file.read(7, 100).toString()).toBe('ld');
      expect(file.read(100, 5).length).toBe(0);
      file.close();
    });

    test('gives buffers that later writes do not change', () => {
      const { disk } = make();
      const file = disk.open('a');
      const bytes = Buffer.from('one');
      file.write(0, bytes);
      const read = file.read(0, 3);
      bytes.write('two');
      file.write(0, bytes);
      expect([read.toString(), text(file)]).toEqual(['one', 'two']);
      file.close();
    });

    test('opens a file again as it was left, and makes an empty one that was not there', () => {
      const { disk } = make();
      const file = disk.open('a');
      file.write(0, Buffer.from('kept'));
      file.close();
      file.close();
      const again = disk.open('a');
      expect([text(again), disk.open('b').size()]).toEqual(['kept', 0]);
      again.close();
    });

    test('lists, renames over what is there, removes what may be absent', () => {
      const { disk } = make();
      for (const each of ['c', 'a', 'b']) {
        const file = disk.open(each);
        file.write(0, Buffer.from(each));
        file.close();
      }
      disk.rename('a', 'b');
      disk.remove('c');
      disk.remove('never there');
      expect(disk.list()).toEqual(['b']);
      expect(text(disk.open('b'))).toBe('a');
      expect(() => disk.rename('gone', 'x')).toThrow('ENOENT');
    });

    test('an open file stays the same file under its new name', () => {
      const { disk } = make();
      const file = disk.open('spare');
      disk.rename('spare', 'used');
      file.write(0, Buffer.from('x'));
      file.close();
      expect(text(disk.open('used'))).toBe('x');
    });

    test('reads what is being synced, and what was written meanwhile', async () => {
      const made = make();
      const file = made.disk.open('a');
      file.write(0, Buffer.from('one'));
      const first = synced(made, (done) => file.sync(done));
      expect([text(file), file.read(1, 9).toString(), file.size()]).toEqual(['one', 'ne', 3]);
      file.write(3, Buffer.from('two'));
      expect(text(file)).toBe('onetwo');
      const second = synced(made, (done) => file.sync(done));
      file.close();
      await Promise.all([first, second]);
      expect(text(made.disk.open('a'))).toBe('onetwo');
    });

    test('reports syncs once each, and never from within the call', async () => {
      const made = make();
      const file = made.disk.open('a');
      file.write(0, Buffer.from('x'));
      let isInside = true;
      await synced(made, (done) => {
        file.sync((error) => {
          expect(isInside).toBe(false);
          done(error);
        });
        isInside = false;
      });
      await synced(made, (done) => made.disk.syncFolder(done));
      file.close();
    });
  });
}
