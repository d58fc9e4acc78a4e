/**
 * The machine image: made once per content (templates and sources of packages), kept under that content's hash. From a Dockerfile where an
 * image registry answers, from Debian packages (debootstrap) where none does.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type Docker from 'dockerode';

import { BeltError } from '../../src/errors.ts';
import { hasStatus, sentence } from './engine-errors.ts';
import type { DockerOptions } from './options.ts';

const TEMPLATES = fileURLToPath(new URL('../../templates/machine-image/', import.meta.url));
const FILES = ['Dockerfile', 'boot', 'debootstrap.sh', 'packages'] as const;
const SUITE = 'bookworm';
const MIRROR = 'http://deb.debian.org/debian';

/** Debian's own sources as this host has them (mirrors, proxies by name), in deb822 or one-line form, without comments; third parties left out. */
async function hostSources(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => [] as string[]);
  const files = names.filter((name) => name === 'debian.sources').map((name) => path.join(folder, name));
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const text = texts.join('\n').split('\n').filter((line) => !line.startsWith('#')).join('\n');
  return new RegExp(`^Suites:.*\\b${SUITE}\\b`, 'm').test(text) ? text : defaultSources();
}

function defaultSources(): string {
  const stanza = (uri: string, suites: string): string =>
    `Types: deb\nURIs: ${uri}\nSuites: ${suites}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n`;
  return `${stanza(MIRROR, `${SUITE} ${SUITE}-updates`)}\n${stanza(`${MIRROR}-security`, `${SUITE}-security`)}`;
}

async function contentHash(sources: string): Promise<string> {
  const hash = createHash('sha256').update(sources);
  for (const file of FILES) hash.update(`\0${file}\0`).update(await readFile(path.join(TEMPLATES, file)));
  return hash.digest('hex').slice(0, 12);
}

/** Runs a program to its end; its last lines of stderr go into the error. */
async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env, signal });
  let tail = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { tail = (tail + text).slice(-2000); });
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (code !== 0) throw new BeltError('driver', `${path.basename(command)} failed with ${code}: ${tail.trim().split('\n').slice(-3).join(' | ')}`);
}

async function fromPackages(docker: Docker, tag: string, sources: string, signal: AbortSignal): Promise<void> {
  const work = await mkdtemp(path.join(tmpdir(), 'belt-machine-image-'));
  const target = path.join(work, 'root');
  const mirror = /^URIs:\s*(\S+)/m.exec(sources)?.[1] ?? MIRROR;
  const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  try {
    await run('/bin/sh', [path.join(TEMPLATES, 'debootstrap.sh'), TEMPLATES, target, mirror, SUITE], { ...process.env, PATH, APT_SOURCES: sources }, signal);
    const tar = spawn('tar', ['-C', target, '-c', '.'], { stdio: ['ignore', 'pipe', 'ignore'], signal });
    const [repo, version] = tag.split(':');
    // The client's types know only the form with a callback.
    const importImage = docker.importImage.bind(docker) as unknown as (file: NodeJS.ReadableStream, options: object) => Promise<NodeJS.ReadableStream>;
    await finish(docker, await importImage(tar.stdout, { repo, tag: version, fromSrc: '-' }));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fromRegistry(docker: Docker, tag: string): Promise<void> {
  const progress = await docker.buildImage({ context: TEMPLATES, src: ['Dockerfile', 'boot', 'packages'] }, { t: tag, forcerm: true, pull: true });
  await finish(docker, progress);
}

/** Reads the engine's progress to its end; an error in it is thrown. */
function finish(docker: Docker, progress: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    docker.modem.followProgress(progress, (error: Error | null, events: { error?: string }[] | null) => {
      const failed = events?.find((event) => event.error !== undefined)?.error;
      if (error !== null || failed !== undefined) reject(error ?? new Error(failed));
      else resolve();
    });
  });
}

async function have(docker: Docker, tag: string): Promise<boolean> {
  try {
    await docker.getImage(tag).inspect();
    return true;
  } catch (error) {
    if (hasStatus(error, 404)) return false;
    throw error;
  }
}

async function build(docker: Docker, options: DockerOptions, tag: string, sources: string, signal: AbortSignal): Promise<void> {
  const failures: string[] = [];
  if (options.image_from !== 'debootstrap') {
    try {
      return await fromRegistry(docker, tag);
    } catch (error) {
      failures.push(`from a registry: ${sentence(error)}`);
    }
  }
  signal.throwIfAborted();
  if (options.image_from !== 'registry') {
    try {
      if (process.getuid?.() !== 0) throw new Error('debootstrap needs root');
      return await fromPackages(docker, tag, sources, signal);
    } catch (error) {
      failures.push(`from Debian packages: ${sentence(error)}`);
    }
  }
  throw new BeltError('driver', `the machine image cannot be made; ${failures.join('; ')}`, {
    next: 'give the host access to an image registry, or as root: apt-get install debootstrap, then again',
  });
}

/** The tag of the machine image, made first where this engine does not have it yet (about a minute, once). */
export async function ensureImage(docker: Docker, options: DockerOptions, signal: AbortSignal): Promise<string> {
  const sources = await hostSources();
  const tag = `belt-machine:${await contentHash(sources)}`;
  if (!(await have(docker, tag))) await build(docker, options, tag, sources, signal);
  return tag;
}
