/** A file is its old self or its new self, whenever the process or the machine dies. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/** The mode of everything belt keeps for itself. */
const PRIVATE = 0o600;

/** Replaces `file`: temporary file beside it, fsync, rename, fsync of the folder. Throws what the file system throws (`ENOSPC`, `EACCES`). */
export async function replaceFile(file: string, content: string | Uint8Array): Promise<void> {
  const temporary = temporaryName(file);
  try {
    const handle = await open(temporary, 'w', PRIVATE);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const folder = await open(path.dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** As {@link replaceFile}, without giving up the thread: for the small files of which nothing else must happen in between. */
export function replaceFileSync(file: string, content: string): void {
  const temporary = temporaryName(file);
  try {
    const handle = openSync(temporary, 'w', PRIVATE);
    try {
      // Not writeSync, which leaves it to its caller to see that a disk took only a part.
      writeFileSync(handle, content);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const folder = openSync(path.dirname(file), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** Of one process each; what a kill left behind is overwritten by the next process of that number and read by nobody. */
function temporaryName(file: string): string {
  return `${file}.${process.pid}.tmp`;
}
