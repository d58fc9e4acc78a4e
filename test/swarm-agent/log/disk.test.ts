import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { NodeDisk } from '../../../src/swarm-agent/log/node-disk.ts';
import { CrashDisk } from './crash-disk.ts';
import { diskConformance } from './disk-conformance.ts';

const folder = mkdtempSync(join(tmpdir(), 'belt-disk-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

diskConformance('a folder', () => ({ disk: new NodeDisk(join(folder, String(count++))), settle: () => undefined }));
diskConformance('memory that can crash', () => {
  const disk = new CrashDisk();
  return { disk, settle: () => disk.settle() };
});

test('a folder and its files are the owner’s alone', () => {
  const path = join(folder, 'private');
  const disk = new NodeDisk(path);
  disk.open('a').close();
  expect([statSync(path).mode & 0o777, statSync(join(path, 'a')).mode & 0o777]).toEqual([0o700, 0o600]);
  disk.close();
});

test.skipIf(!existsSync('/dev/full'))('a full disk does not keep a file from being closed: what was never synced was promised to nobody', async () => {
  const disk = new NodeDisk('/dev');
  const file = disk.open('full');
  file.write(0, Buffer.from('no room'));
  expect(await new Promise((resolve) => file.sync(resolve))).toMatchObject({ code: 'ENOSPC' });
  file.write(0, Buffer.from('still none'));
  file.close();
  disk.close();
});

test('memory that crashes keeps what was synced, and of the rest what it pleases', () => {
  const disk = new CrashDisk();
  const file = disk.open('a');
  file.write(0, Buffer.from('synced'));
  file.sync(() => undefined);
  disk.syncFolder(() => undefined);
  disk.settle();
  file.write(0, Buffer.from('unsync'));
  disk.open('new');
  expect([disk.crash(() => false).list(), disk.crash(() => true).list()]).toEqual([['a'], ['a', 'new']]);
  expect([disk.crash(() => false).bytes('a').toString(), disk.crash(() => true).bytes('a').toString()]).toEqual(['synced', 'unsync']);
});
