/** A machine on disk: `machines/<id>/machine.json` beside its ROOT. The folders are the cloud's own list; nothing else is. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Machine, MachineStatus } from '../../src/provision/driver.ts';

const recordSchema = v.object({
  version: v.literal(1),
  id: v.pipe(v.string(), v.regex(/^l-[0-9a-f]{16}$/)),
  name: v.string(),
  cluster: v.string(),
  clusterId: v.string(),
  orderId: v.string(),
  address: v.pipe(v.string(), v.ipv4(), v.startsWith('127.')),
  sshPort: v.number(),
  sshUser: v.string(),
  region: v.string(),
  zone: v.nullable(v.string()),
  image: v.string(),
  size: v.string(),
  memoryMb: v.nullable(v.number()),
  createdAt: v.string(),
  tags: v.record(v.string(), v.string()),
  /** What was last asked of it. */
  power: v.picklist(['on', 'off', 'paused']),
  /** The kernel's boot id when it was last started: another one now means that the whole box was restarted. */
  bootId: v.string(),
});
export type MachineRecord = v.InferOutput<typeof recordSchema>;

/** The same order and name give the same id, so that a repeated order finds what it made. */
export function machineId(orderId: string, name: string): string {
  return `l-${createHash('sha256').update(`${orderId}\0${name}`).digest('hex').slice(0, 16)}`;
}

/** Where things of a machine are. */
export function machinePaths(home: string, id: string): { folder: string; record: string; root: string; hostKey: string; authorizedKeys: string; start: string; bootLog: string } {
  const folder = join(home, 'machines', id);
  const root = join(folder, 'root');
  return {
    folder,
    record: join(folder, 'machine.json'),
    root,
    hostKey: join(folder, 'ssh_host_ed25519_key'),
    authorizedKeys: join(root, '.ssh', 'authorized_keys'),
    start: join(root, 'etc', 'belt', 'start'),
    bootLog: join(root, 'var', 'log', 'boot.log'),
  };
}

/** Puts a new machine there as a whole: made aside, then renamed, so that no half-made one is ever seen. */
export async function addMachine(home: string, record: MachineRecord, sshPublicKeys: readonly string[]): Promise<void> {
  const aside = join(home, 'machines', `.new-${record.id}`);
  await rm(aside, { recursive: true, force: true });
  await mkdir(join(aside, 'root', '.ssh'), { recursive: true, mode: 0o700 });
  await mkdir(join(aside, 'root', 'var', 'log'), { recursive: true });
  await writeFile(join(aside, 'root', '.ssh', 'authorized_keys'), sshPublicKeys.map((key) => `${key}\n`).join(''), { mode: 0o600 });
  await writeFile(join(aside, 'machine.json'), JSON.stringify(record, null, 2), { mode: 0o600 });
  await rename(aside, machinePaths(home, record.id).folder);
}

/** Replaces the record atomically. */
export async function saveRecord(home: string, record: MachineRecord): Promise<void> {
  const { record: file } = machinePaths(home, record.id);
  const aside = `${file}.${randomBytes(4).toString('hex')}`;
  await writeFile(aside, JSON.stringify(record, null, 2), { mode: 0o600 });
  await rename(aside, file);
}

/** Takes the machine out of the list at once, then removes its files. */
export async function removeMachine(home: string, id: string): Promise<void> {
  const gone = join(home, 'machines', `.gone-${id}-${randomBytes(4).toString('hex')}`);
  await rename(machinePaths(home, id).folder, gone);
  await rm(gone, { recursive: true, force: true });
}

/** Every machine of this home. Damaged records are left out and named: nothing is guessed about them. */
export async function loadRecords(home: string): Promise<{ records: MachineRecord[]; damaged: string[] }> {
  const records: MachineRecord[] = [];
  const damaged: string[] = [];
  for (const id of await machineIds(home)) {
    try {
      records.push(v.parse(recordSchema, JSON.parse(await readFile(machinePaths(home, id).record, 'utf8'))));
    } catch {
      damaged.push(id);
    }
  }
  return { records, damaged };
}

/** The ids that have a folder. */
export async function machineIds(home: string): Promise<string[]> {
  const names = await readdir(join(home, 'machines')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith('.'));
}

/** Removes what was being made or removed when an earlier host process ended. */
export async function clearLeftovers(home: string): Promise<void> {
  for (const name of await readdir(join(home, 'machines')).catch(() => [] as string[])) {
    if (name.startsWith('.')) await rm(join(home, 'machines', name), { recursive: true, force: true });
  }
}

/** The record in the words of the driver interface. */
export function machineOf(record: MachineRecord, status: MachineStatus): Machine {
  const { name, id, address, sshPort, sshUser, memoryMb, region, zone, image, size, createdAt, tags } = record;
  const datacenter = zone === null ? `local:${region}` : `local:${region}/${zone}`;
  return { name, driver: 'local', id, status, publicIpv4: address, privateIpv4: address, sshPort, sshUser, memoryMb, region, datacenter, image, size, createdAt, tags };
}
