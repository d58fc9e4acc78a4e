/** The driver's side of the control socket: finds the host process, starts it when there is none, asks it one thing at a time. */
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { BeltError, isBeltError } from '../../src/errors.ts';
import { readLines } from '../../src/ssh/lines.ts';
import { fromWire, helloSchema, PROTOCOL, replySchema, type LocalRequest } from './protocol.ts';

export interface HostLocation {
  readonly home: string;
  readonly sshPort: number;
}

/** How long a host may take to be there, milliseconds. */
const START_MS = 15_000;
const RETRY_MS = 20;

/** Asks the host and yields its items. Throws `driver_unavailable` when no host can be had, or what the host answers. */
export async function* askHost(location: HostLocation, request: LocalRequest, signal: AbortSignal): AsyncGenerator<unknown, void, void> {
  signal.throwIfAborted();
  const socket = await connectHost(location, signal);
  const abort = (): void => void socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of readLines(socket, 16 * 1024 * 1024)) {
      const reply = v.parse(replySchema, JSON.parse(line));
      if ('error' in reply) throw fromWire(reply.error);
      if ('end' in reply) return;
      yield reply.item;
    }
    throw lost();
  } catch (error) {
    if (signal.aborted) throw new BeltError('interrupted', 'interrupted while local machines were changed', { cause: error });
    // Node's own errors have a code; a connection that broke before it was used says so without a system call.
    throw isBeltError(error) || (error as NodeJS.ErrnoException).code === undefined ? error : lost(error);
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
}

/** A connection to a host that speaks our protocol: the running one, else a new one. */
async function connectHost(location: HostLocation, signal: AbortSignal): Promise<Socket> {
  const ends = performance.now() + START_MS;
  let started = false;
  for (;;) {
    const [socket, ours] = await Promise.all([tryConnect(location.home), started || speaksOurs(location.home)]);
    if (socket !== undefined) {
      if (ours) return socket;
      socket.destroy();
      await retire(location.home);
    }
    if (performance.now() > ends) throw new BeltError('driver_unavailable', `the host process of local machines does not start`, { next: `see ${join(location.home, 'host.log')}` });
    started = (await startHost(location)) === 'ready';
    if (!started) await sleep(RETRY_MS, undefined, { signal });
  }
}

async function tryConnect(home: string): Promise<Socket | undefined> {
  const socket = connect(join(home, 'host.sock'));
  try {
    await once(socket, 'connect');
    // It may break before anybody reads from it, when the host dies with us in its backlog: reading or writing then tells.
    socket.on('error', () => {});
    return socket;
  } catch {
    return undefined;
  }
}

const greeted = new Set<string>();

/** Asked once a process and home: a host that was started from another version of belt may speak otherwise. */
async function speaksOurs(home: string): Promise<boolean> {
  if (greeted.has(home)) return true;
  const [answer] = await askPlainly(home, { op: 'hello' });
  const hello = v.safeParse(helloSchema, answer);
  const ours = hello.success && hello.output.protocol === PROTOCOL;
  if (ours) greeted.add(home);
  return ours;
}

async function retire(home: string): Promise<void> {
  await askPlainly(home, { op: 'retire' });
}

async function askPlainly(home: string, request: LocalRequest): Promise<unknown[]> {
  const socket = await tryConnect(home);
  if (socket === undefined) return [];
  const items: unknown[] = [];
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of readLines(socket)) {
      const reply = v.safeParse(replySchema, JSON.parse(line));
      if (reply.success && 'item' in reply.output) items.push(reply.output.item);
    }
  } catch {
    // It went away meanwhile; the caller looks again.
  } finally {
    socket.destroy();
  }
  return items;
}

/** Starts a host, detached and with nothing of our environment but what programs need. What it says on its first line. */
async function startHost({ home, sshPort }: HostLocation): Promise<string> {
  // Loaded for the one command that needs it: most find a host.
  const { spawn } = await import('node:child_process');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const program = fileURLToPath(new URL(`./host.${extension}`, import.meta.url));
  const log = openSync(join(home, 'host.log'), 'a', 0o600);
  const env = Object.fromEntries(['PATH', 'HOME', 'USER', 'LANG', 'TZ'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  const child = spawn(process.execPath, [program, home, String(sshPort)], { cwd: '/', env, detached: true, stdio: ['ignore', 'pipe', log] });
  closeSync(log);
  child.on('error', () => {});
  const stdout = child.stdout as Readable;
  try {
    for await (const line of readLines(stdout)) return line;
    return 'failed';
  } finally {
    stdout.destroy();
    child.unref();
  }
}

function lost(cause?: unknown): BeltError {
  return new BeltError('driver_unavailable', 'the host process of local machines went away before it answered', { cause, next: 'run it again: the next command starts it anew' });
}
