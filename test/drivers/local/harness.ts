/** The local driver for the conformance suite: a home of its own, and a proxy before the host's control socket that shows faults. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDriver } from '../../../drivers/local/driver.ts';
import { askHost } from '../../../drivers/local/host-client.ts';
import { LocalOptions } from '../../../drivers/local/options.ts';
import type { ClusterTag, Driver } from '../../../src/provision/driver.ts';
import type { CallKind, DriverFault, DriverHarness } from '../../conformance/driver-harness.ts';
import * as v from 'valibot';

const KIND: Readonly<Record<string, CallKind>> = { create: 'create', list: 'list', power: 'change', resize: 'change', destroy: 'destroy' };

/** A home, drivers on it, and what is needed to end it without a trace. */
export interface LocalHome {
  readonly home: string;
  driver(): Driver;
  /** What the folders say. */
  records(): { id: string; name: string; clusterId: string; address: string }[];
  close(): Promise<void>;
}

export function makeLocalHome(): LocalHome {
  const home = mkdtempSync(join(tmpdir(), 'belt-local-'));
  const driver = (): Driver => createDriver(v.parse(LocalOptions, { home }));
  const folders = (): string[] => (existsSync(join(home, 'machines')) ? readdirSync(join(home, 'machines')).filter((name) => !name.startsWith('.')) : []);
  const close = async (): Promise<void> => {
    const signal = AbortSignal.timeout(20_000);
    if (existsSync(join(home, 'host.sock'))) {
      await driver().destroy(folders(), signal);
      for await (const _ of askHost({ home, sshPort: 2222 }, { op: 'retire' }, signal));
    }
    rmSync(home, { recursive: true, force: true });
  };
  return { home, driver, close, records: () => folders().map((id) => JSON.parse(readFileSync(join(home, 'machines', id, 'machine.json'), 'utf8'))) };
}

export async function makeLocalHarness(): Promise<DriverHarness> {
  const place = makeLocalHome();
  const faults: { fault: Extract<DriverFault, { kind: 'lost-reply' | 'slow' }>; left: number }[] = [];
  // A question starts the host, so that there is a socket to stand before.
  for await (const _ of askHost({ home: place.home, sshPort: 2222 }, { op: 'hello' }, AbortSignal.timeout(20_000)));
  const socket = join(place.home, 'host.sock');
  const real = join(place.home, 'real.sock');
  renameSync(socket, real);
  const take = (call: CallKind | undefined): DriverFault | undefined => {
    const entry = faults.find(({ fault, left }) => left > 0 && fault.call === call);
    if (entry !== undefined) entry.left -= 1;
    return entry?.fault;
  };
  const proxy = createServer((client) => void carry(client, real, take)).listen(socket);
  await once(proxy, 'listening');
  return {
    driver: () => place.driver(),
    types: ['512mb', '8gb'],
    regions: ['sgp1', 'nyc3'],
    inject: (fault) => {
      if (fault.kind !== 'lost-reply' && fault.kind !== 'slow') throw new Error(`the local harness shows no ${fault.kind}`);
      faults.push({ fault, left: fault.times });
    },
    onCloud: async (cluster: ClusterTag) => place.records().filter(({ clusterId }) => clusterId === cluster.clusterId),
    settle: () => sleep(5),
    earlyCalls: () => 0,
    close: async () => {
      await closeServer(proxy);
      renameSync(real, socket);
      await place.close();
    },
  };
}

async function carry(client: Socket, real: string, take: (call: CallKind | undefined) => DriverFault | undefined): Promise<void> {
  client.on('error', () => {});
  const [first] = (await once(client, 'data').catch(() => [undefined])) as [Buffer | undefined];
  if (first === undefined) return;
  // The operation is the first member of the request; a long order may come in several pieces.
  const op = /^\{"op":"([a-z]+)"/.exec(first.toString())?.[1] ?? '';
  const fault = take(KIND[op]);
  if (fault?.kind === 'slow') await sleep(200);
  const host = connect(real);
  host.on('error', () => client.destroy());
  host.write(first);
  client.pipe(host);
  client.once('close', () => host.destroy());
  if (fault?.kind !== 'lost-reply') return void host.pipe(client);
  host.resume();
  host.once('end', () => client.destroy());
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  await closed;
}
