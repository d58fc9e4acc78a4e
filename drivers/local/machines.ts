/**
 * The machines of one home as they run: who is up, on which address, with which SSH server. Lives in the host process, the only
 * writer of the home. What is on disk decides; what is in memory can be rebuilt from it and from /proc at any time.
 */
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readFileSync } from 'node:fs';
import { BeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Created, CreateOrder, Machine, OrderedMachine, PowerAction } from '../../src/provision/driver.ts';
import { startSshServer, type SshServer } from '../../src/ssh/server.ts';
import { reserveAddress, takeAddress, type Reservation } from './addresses.ts';
import { addMachine, clearLeftovers, loadRecords, machineId, machineOf, machinePaths, removeMachine, saveRecord, type MachineRecord } from './machine-record.ts';
import { localUser } from './options.ts';
import { findProcesses, freezeProcesses, killProcesses, stopProcesses } from './processes.ts';
import { noteOf, statusOf } from './power.ts';
import { memoryMbOf } from './types.ts';

interface Live {
  record: MachineRecord;
  reservation: Reservation | undefined;
  server: SshServer | undefined;
  /** Why a machine that should run does not. */
  fault: string | undefined;
}

/** How long the programs of a machine have after SIGTERM, milliseconds. */
const STOP_GRACE_MS = 10_000;

/** All machines of one home. Calls are taken one after another by {@link Machines.exclusive}; nothing else may change the home. */
export class Machines {
  readonly #home: string;
  readonly #sshPort: number;
  readonly #live = new Map<string, Live>();
  readonly #damaged = new Set<string>();
  readonly #bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  #nextAddress = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(home: string, sshPort: number) {
    this.#home = home;
    this.#sshPort = sshPort;
  }

  /** Picks up what exists: addresses are taken again, machines that were on listen again, and where the box itself was restarted they boot. */
  async open(): Promise<void> {
    await clearLeftovers(this.#home);
    const { records, damaged } = await loadRecords(this.#home);
    for (const id of damaged) {
      this.#damaged.add(id);
      process.stderr.write(`machines/${id}: its machine.json is damaged; belt rm cannot name it, remove the folder\n`);
    }
    for (const record of records) {
      const one: Live = { record, reservation: await reserveAddress(record.address, record.sshPort), server: undefined, fault: undefined };
      this.#live.set(record.id, one);
      if (record.power !== 'off') await this.#listen(one);
      if (record.power === 'paused') one.server?.pause();
      if (record.power === 'on' && record.bootId !== this.#bootId) await this.#boot(one);
    }
  }

  get count(): number {
    return this.#live.size + this.#damaged.size;
  }

  /** Runs one change after those before it. */
  exclusive<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(act, act);
    this.#queue = result.catch(() => {});
    return result;
  }

  list(cluster: ClusterTag): Machine[] {
    return [...this.#live.values()].filter(({ record }) => record.clusterId === cluster.clusterId).map(describe);
  }

  /** The machines of the order, made where they are not there yet. */
  async create(order: CreateOrder, emit: (created: Created) => void, isWanted: () => boolean): Promise<void> {
    for (const ordered of order.machines) {
      if (!isWanted()) return;
      try {
        const one = this.#live.get(machineId(order.id, ordered.name)) ?? (await this.#make(order, ordered));
        emit(describe(one));
      } catch (cause) {
        const error = cause instanceof BeltError ? cause : new BeltError('driver', `cannot make ${ordered.name}: ${(cause as Error).message}`, { machine: ordered.name, cause });
        emit({ failed: ordered.name, error });
      }
    }
  }

  async power(ids: readonly string[], action: PowerAction): Promise<Outcome[]> {
    const known = ids.flatMap((id) => this.#live.get(id) ?? []);
    const notes = new Map(known.map((one) => [one.record.id, noteOf(one.record, one.server !== undefined, action)]));
    const todo = known.filter((one) => notes.get(one.record.id) === undefined);
    const failed = new Map<string, BeltError>();
    const attempt = async (list: readonly Live[], act: (one: Live) => Promise<void>): Promise<void> => {
      for (const one of list) await act(one).catch((error: unknown) => failed.set(one.record.id, wrap(one, error)));
    };
    if (action === 'stop' || action === 'kill' || action === 'reboot') await this.#down(todo, action === 'kill' ? 'kill' : 'stop', attempt);
    if (action === 'start' || action === 'reboot') await attempt(todo.filter(({ record }) => !failed.has(record.id)), (one) => this.#up(one));
    if (action === 'pause' || action === 'unpause') await this.#freeze(todo, action === 'pause');
    return ids.map((id) => this.#outcome(id, failed.get(id), notes.get(id)));
  }

  async resize(ids: readonly string[], size: string): Promise<Outcome[]> {
    const memoryMb = memoryMbOf(size);
    const outcomes: Outcome[] = [];
    for (const id of ids) {
      const one = this.#live.get(id);
      const same = one?.record.size === size;
      if (one !== undefined && !same) await this.#save(one, { size, memoryMb });
      outcomes.push(this.#outcome(id, undefined, same ? `already ${size}` : undefined));
    }
    return outcomes;
  }

  async destroy(ids: readonly string[]): Promise<Outcome[]> {
    const known = ids.filter((id) => this.#live.has(id) || this.#damaged.has(id));
    for (const id of known) await this.#close(this.#live.get(id));
    const survivors = await killProcesses(new Set(known));
    const outcomes: Outcome[] = [];
    for (const id of ids) {
      if (!known.includes(id)) {
        outcomes.push({ name: id, ok: true, value: undefined, note: 'already gone' });
      } else if (survivors.has(id)) {
        outcomes.push({ name: id, ok: false, error: new BeltError('driver', `${id}: processes of it cannot be ended`, { machine: id, retryable: true }) });
      } else {
        await removeMachine(this.#home, id);
        await this.#live.get(id)?.reservation?.release();
        this.#live.delete(id);
        this.#damaged.delete(id);
        outcomes.push({ name: id, ok: true, value: undefined });
      }
    }
    return outcomes;
  }

  /** Stops listening everywhere; what runs on the machines goes on. */
  async closeAll(): Promise<void> {
    for (const one of this.#live.values()) await this.#close(one);
  }

  /** Ends every process of every machine: for a home whose folder was removed. */
  async killAll(): Promise<void> {
    await this.closeAll();
    await killProcesses(new Set(this.#live.keys()));
  }

  async #make(order: CreateOrder, ordered: OrderedMachine): Promise<Live> {
    const taken = new Set([...this.#live.values()].map(({ record }) => record.address));
    const reservation = await takeAddress(this.#home, process.getuid?.() ?? 0, this.#sshPort, taken, this.#nextAddress);
    this.#nextAddress = reservation.next;
    const record: MachineRecord = {
      version: 1,
      id: machineId(order.id, ordered.name),
      name: ordered.name,
      cluster: order.cluster,
      clusterId: order.clusterId,
      orderId: order.id,
      address: reservation.address,
      sshPort: this.#sshPort,
      sshUser: localUser(),
      region: ordered.region,
      zone: ordered.zone,
      image: order.image ?? 'local',
      size: order.type,
      memoryMb: order.memoryMb ?? memoryMbOf(order.type),
      createdAt: new Date().toISOString(),
      tags: { ...order.tags },
      power: 'on',
      bootId: this.#bootId,
    };
    try {
      await addMachine(this.#home, record, order.sshPublicKeys);
    } catch (error) {
      await reservation.release();
      throw error;
    }
    const one: Live = { record, reservation, server: undefined, fault: undefined };
    this.#live.set(record.id, one);
    await this.#listen(one);
    return one;
  }

  async #up(one: Live): Promise<void> {
    if (one.record.power === 'paused') await this.#freeze([one], false);
    one.reservation ??= await reserveAddress(one.record.address, one.record.sshPort);
    await this.#listen(one);
    if (one.fault !== undefined) throw new BeltError('driver', `${one.record.name}: ${one.fault}`, { machine: one.record.name, next: `make it anew: belt rm ${one.record.name}, then belt create` });
    await this.#save(one, { power: 'on', bootId: this.#bootId });
    await this.#boot(one);
  }

  async #down(list: readonly Live[], how: 'stop' | 'kill', attempt: (list: readonly Live[], act: (one: Live) => Promise<void>) => Promise<void>): Promise<void> {
    const ids = new Set(list.map(({ record }) => record.id));
    await attempt(list, (one) => this.#save(one, { power: 'off' }));
    if (how === 'kill') await attempt(list, (one) => this.#close(one));
    const survivors = how === 'kill' ? await killProcesses(ids) : await stopProcesses(ids, STOP_GRACE_MS);
    await attempt(list, async (one) => {
      await this.#close(one);
      if (survivors.has(one.record.id)) throw new BeltError('driver', `${one.record.name}: processes of it cannot be ended`, { machine: one.record.name, retryable: true });
    });
  }

  async #freeze(list: readonly Live[], frozen: boolean): Promise<void> {
    for (const one of list) {
      if (frozen) one.server?.pause();
      await this.#save(one, { power: frozen ? 'paused' : 'on' });
    }
    await freezeProcesses(new Set(list.map(({ record }) => record.id)), frozen);
    if (!frozen) for (const one of list) one.server?.resume();
  }

  async #listen(one: Live): Promise<void> {
    if (one.server !== undefined) return;
    const { record } = one;
    const paths = machinePaths(this.#home, record.id);
    try {
      one.server = await startSshServer({
        address: record.address,
        port: record.sshPort,
        user: record.sshUser,
        hostKeyFile: paths.hostKey,
        authorizedKeysFile: paths.authorizedKeys,
        home: paths.root,
        env: machineEnvironment(record, paths.root),
      });
      one.fault = undefined;
    } catch (error) {
      one.fault = (error as Error).message;
    }
  }

  /** Runs the machine's boot script, if it has one, unless its processes are there already. */
  async #boot({ record }: Live): Promise<void> {
    const paths = machinePaths(this.#home, record.id);
    if (!isExecutable(paths.start) || findProcesses(new Set([record.id])).size > 0) return;
    const log = openSync(paths.bootLog, 'a', 0o600);
    try {
      const child = spawn(paths.start, [], { cwd: paths.root, env: machineEnvironment(record, paths.root), detached: true, stdio: ['ignore', log, log] });
      child.on('error', () => {});
      child.unref();
    } finally {
      closeSync(log);
    }
  }

  async #close(one: Live | undefined): Promise<void> {
    const server = one?.server;
    if (one !== undefined) one.server = undefined;
    await server?.close();
  }

  async #save(one: Live, change: Partial<MachineRecord>): Promise<void> {
    one.record = { ...one.record, ...change };
    await saveRecord(this.#home, one.record);
  }

  #outcome(id: string, error: BeltError | undefined, note: string | undefined): Outcome {
    if (error !== undefined) return { name: id, ok: false, error };
    if (this.#live.has(id)) return { name: id, ok: true, value: undefined, note };
    return { name: id, ok: false, error: new BeltError('driver', `no machine has the id ${id}`, { machine: id, next: 'see what is there: belt ls' }) };
  }
}

/** The whole environment of a machine's programs. BELT_MACHINE is what they are found by. */
function machineEnvironment(record: MachineRecord, root: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: root,
    USER: record.sshUser,
    LOGNAME: record.sshUser,
    SHELL: '/bin/sh',
    LANG: process.env['LANG'] ?? 'C.UTF-8',
    BELT_MACHINE: record.id,
    BELT_ROOT: root,
    BELT_ADDRESS: record.address,
  };
}

function describe({ record, server }: Live): Machine {
  return machineOf(record, statusOf(record, server !== undefined));
}

function wrap({ record }: Live, error: unknown): BeltError {
  return error instanceof BeltError ? error : new BeltError('driver', `${record.name}: ${(error as Error).message}`, { machine: record.name, cause: error });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
