/**
 * The host process of local machines: one for all of a user's home, started on demand by the driver, gone a moment after the last
 * machine is. It is the only writer of the home; that it is the only host is kept by an abstract Unix socket, which the kernel frees
 * when the process ends, however it ends. Run as `node host.ts HOME SSH_PORT`; it prints `ready` or `taken` on its first line.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import * as v from 'valibot';
import { asBeltError, BeltError, type Outcome } from '../../src/errors.ts';
import type { Created } from '../../src/provision/driver.ts';
import { Machines } from './machines.ts';
import { PROTOCOL, requestSchema, toWire, type LocalRequest } from './protocol.ts';

/** With no machine and no request for this long, the host ends. */
const IDLE_MS = 10_000;
/** How often the host looks whether its home is still there. */
const HOME_CHECK_MS = 2_000;
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;

class Host {
  readonly #home: string;
  readonly #machines: Machines;
  #lastActivity = performance.now();
  #open = 0;
  #server: Server | undefined;

  constructor(home: string, sshPort: number) {
    this.#home = home;
    this.#machines = new Machines(home, sshPort);
  }

  async run(): Promise<void> {
    await this.#machines.open();
    const path = join(this.#home, 'host.sock');
    rmSync(path, { force: true });
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    server.listen(path);
    await once(server, 'listening');
    chmodSync(path, 0o600);
    // For people and for doctor; what decides who is the host is the lock.
    writeFileSync(join(this.#home, 'host.json'), JSON.stringify({ pid: process.pid, protocol: PROTOCOL }), { mode: 0o600 });
    const inode = statSync(this.#home).ino;
    setInterval(() => this.#lookAround(inode), HOME_CHECK_MS);
  }

  #lookAround(inode: number): void {
    if (inodeOf(this.#home) !== inode) {
      this.#machines.killAll().finally(() => process.exit(0));
      return;
    }
    if (this.#machines.count > 0 || this.#open > 0) this.#lastActivity = performance.now();
    else if (performance.now() - this.#lastActivity > IDLE_MS) process.exit(0);
  }

  #serve(socket: Socket): void {
    this.#open += 1;
    let text = '';
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#open -= 1;
    });
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_REQUEST_BYTES) socket.destroy();
      const end = text.indexOf('\n');
      if (end === -1) return;
      socket.removeAllListeners('data').resume();
      void this.#answer(socket, text.slice(0, end));
    });
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    const send = (reply: object): void => {
      if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
    };
    try {
      const request = v.parse(requestSchema, JSON.parse(line));
      await this.#act(request, (item) => send({ item }), () => !socket.destroyed);
      send({ end: true });
    } catch (error) {
      send({ error: toWire(asBeltError(error, 'driver')) });
    }
    socket.end();
  }

  async #act(request: LocalRequest, emit: (item: unknown) => void, isWanted: () => boolean): Promise<void> {
    const machines = this.#machines;
    const outcomes = (list: readonly Outcome[]): void => list.forEach((outcome) => emit(wireOutcome(outcome)));
    switch (request.op) {
      case 'hello':
        return emit({ protocol: PROTOCOL, pid: process.pid });
      case 'list':
        return machines.list(request.cluster).forEach(emit);
      case 'create':
        return machines.exclusive(() => machines.create(request.order, (created) => emit(wireCreated(created)), isWanted));
      case 'power':
        return outcomes(await machines.exclusive(() => machines.power(request.ids, request.action)));
      case 'resize':
        return outcomes(await machines.exclusive(() => machines.resize(request.ids, request.type)));
      case 'destroy':
        return outcomes(await machines.exclusive(() => machines.destroy(request.ids)));
      case 'retire':
        this.#server?.close();
        await machines.exclusive(() => machines.closeAll());
        setImmediate(() => process.exit(0));
    }
  }
}

function wireCreated(created: Created): unknown {
  return 'failed' in created ? { failed: created.failed, error: toWire(created.error as BeltError) } : created;
}

function wireOutcome(outcome: Outcome): unknown {
  return outcome.ok ? { name: outcome.name, ok: true, note: outcome.note } : { name: outcome.name, ok: false, error: toWire(outcome.error) };
}

function inodeOf(folder: string): number | undefined {
  try {
    return statSync(folder).ino;
  } catch {
    return undefined;
  }
}

/** Takes the home for this process; false when another host has it. The name is a secret of the home, so that nobody else can sit on it. */
async function takeHome(home: string): Promise<boolean> {
  const file = join(home, 'host.id');
  const aside = `${file}.${process.pid}`;
  writeFileSync(aside, randomBytes(16).toString('hex'), { mode: 0o600 });
  try {
    linkSync(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  const lock = createServer((socket) => socket.destroy());
  lock.listen(`\0belt-local-${readFileSync(file, 'utf8').trim()}`);
  try {
    await once(lock, 'listening');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}

async function main(): Promise<void> {
  const [home, sshPort] = [process.argv[2], Number(process.argv[3])];
  if (home === undefined || !Number.isInteger(sshPort)) throw new BeltError('usage', 'usage: host HOME SSH_PORT');
  process.title = 'belt-local-host';
  // A reader of our first line may be gone already; the host lives on.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  mkdirSync(join(home, 'machines'), { recursive: true, mode: 0o700 });
  chmodSync(home, 0o700);
  if (!(await takeHome(home))) {
    process.stdout.write('taken\n', () => process.exit(0));
    return;
  }
  await new Host(home, sshPort).run();
  process.stdout.write('ready\n');
}

await main();
