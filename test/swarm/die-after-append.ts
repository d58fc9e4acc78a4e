/** Loaded before an agent: it dies as soon as what it was told to look for (BELT_DIE_AFTER) is on its disk, before it can tell anybody. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const marker = process.env['BELT_DIE_AFTER'] ?? '';
const { write } = fs;

function writeAndDie(fd: number, bytes: Uint8Array, ...rest: unknown[]): void {
  const done = rest.pop() as (...result: unknown[]) => void;
  const ours = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(marker);
  (write as (...words: unknown[]) => void)(fd, bytes, ...rest, (...result: unknown[]) => {
    if (ours) process.kill(process.pid, 'SIGKILL');
    else done(...result);
  });
}

if (marker !== '') {
  fs.write = writeAndDie as typeof fs.write;
  syncBuiltinESMExports();
}
