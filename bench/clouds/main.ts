/**
 * How long 5,000 machines take on each cloud's fake with its real limits, beside what the limits alone allow: `bin/node bench/clouds/main.ts
 * [MACHINES]`. Time runs faster than the wall's, the same for driver and fake; the floor is computed from the calls that were made.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { createDriver as createAzure } from '../../drivers/azure/driver.ts';
import { AzureOptions } from '../../drivers/azure/options.ts';
import { createDriver as createDigitalOcean } from '../../drivers/digitalocean/driver.ts';
import { DigitalOceanOptions } from '../../drivers/digitalocean/options.ts';
import { createDriver as createEc2 } from '../../drivers/ec2/driver.ts';
import { Ec2Options } from '../../drivers/ec2/options.ts';
import type { CreateOrder, Driver } from '../../src/provision/driver.ts';
import { scaledPace } from '../../test/drivers/scaled-pace.ts';
import { FAKE_SUBSCRIPTION, FAKE_TENANT, startAzure } from '../../test/fakes/azure/service.ts';
import { startDigitalOcean } from '../../test/fakes/digitalocean/service.ts';
import { startEc2 } from '../../test/fakes/ec2/service.ts';

const MACHINES = Number(process.argv[2] ?? 5_000);
const allowed = ['203.0.113.7'];

interface Run {
  readonly cloud: string;
  /** How much faster than the wall's clock time runs. */
  readonly scale: number;
  readonly driver: Driver;
  readonly type: string;
  readonly region: string;
  /** Seconds the limits alone need for the calls that were made. */
  readonly floor: () => number;
  readonly throttled: () => number;
  readonly calls: ReadonlyMap<string, number>;
  readonly close: () => Promise<void>;
}

/** Seconds a bucket needs for `cost`. */
const bucket = (cost: number, capacity: number, perSecond: number): number => Math.max(0, (cost - capacity) / perSecond);
const sum = (calls: ReadonlyMap<string, number>, ...names: string[]): number => [...calls].filter(([name]) => names.length === 0 || names.includes(name)).reduce((total, [, n]) => total + n, 0);

async function digitalOcean(): Promise<Run> {
  const pace = scaledPace(2);
  const fake = await startDigitalOcean({ clock: pace.now, bootMs: 30_000, token: 'bench' });
  const driver = createDigitalOcean(v.parse(DigitalOceanOptions, { token: 'bench', api_url: fake.apiUrl, allow_from: allowed }), { pace });
  // 250 calls in any minute: as many at once, as many again when a minute is over, and so on.
  return { cloud: 'digitalocean', scale: 2, driver, type: 's-1vcpu-1gb', region: 'nyc3', floor: () => Math.floor((sum(fake.calls) - 1) / 250) * 60, throttled: fake.throttled, calls: fake.calls, close: fake.close };
}

async function ec2(): Promise<Run> {
  const scale = 25;
  const pace = scaledPace(scale);
  const fake = await startEc2({ clock: pace.now, bootMs: 30_000, lagMs: 1_000 });
  const options = v.parse(Ec2Options, { access_key_id: 'AKIAFAKE', secret_access_key: 'x', region: 'eu-west-1', regions: ['eu-west-1'], endpoint: fake.url, allow_from: allowed });
  const floor = (): number => Math.max(bucket(MACHINES, 1_000, 2), bucket(sum(fake.calls, 'RunInstances'), 5, 2), bucket(sum(fake.calls, 'CreateTags'), 100, 10));
  return { cloud: 'ec2', scale, driver: createEc2(options, { pace }), type: 't3.nano', region: 'eu-west-1', floor, throttled: fake.throttled, calls: fake.calls, close: fake.close };
}

async function azure(): Promise<Run> {
  const scale = 5;
  const pace = scaledPace(scale);
  const fake = await startAzure({ clock: pace.now, bootMs: 30_000 });
  const folder = mkdtempSync(join(tmpdir(), 'belt-bench-'));
  writeFileSync(join(folder, 'ca.pem'), fake.ca);
  const options = v.parse(AzureOptions, { subscription_id: FAKE_SUBSCRIPTION, tenant_id: FAKE_TENANT, client_id: 'c', client_secret: 'fake-secret', endpoint: fake.url, authority_host: fake.url, ca_file: join(folder, 'ca.pem'), allow_from: allowed });
  const lists = (): number => sum(fake.calls, 'LIST virtualMachines', 'LIST virtualMachineScaleSets');
  // Names are written onto the members, then one more list sees that all is well; both wait for a machine's boot of 30 s at least.
  const floor = (): number => 30 + Math.max(bucket(sum(fake.calls, 'PATCH virtualMachines'), 1_500, 500 / 60), bucket(lists(), 900, 5), bucket(sum(fake.calls), 250, 25));
  const close = async (): Promise<void> => {
    await fake.close();
    rmSync(folder, { recursive: true });
  };
  return { cloud: 'azure', scale, driver: createAzure(options, { pace, operationPollMs: 100 }), type: 'Standard_B1s', region: 'westeurope', floor, throttled: fake.throttled, calls: fake.calls, close };
}

function order(run: Run): CreateOrder {
  const machines = Array.from({ length: MACHINES }, (_, n) => ({ name: `node${n + 1}`, region: run.region, zone: null }));
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKlPcpBnzv3sGwrkISTvVVkZvjlPZ3gMUmfe1AzkpYP9 bench';
  return { cluster: 'bench', clusterId: '0123456789abcdef0123456789abcdef', id: 'b'.repeat(32), machines, type: run.type, memoryMb: 512, image: null, sshPublicKeys: [key], userData: null, tags: {}, spot: false };
}

console.log(`${MACHINES} machines, limits of the real clouds`);
console.log('CLOUD          FLOOR     TOOK   RATIO   CALLS   THROTTLED   PEAK    WITHIN 1.2 x FLOOR + 10 s');
for (const open of [digitalOcean, ec2, azure]) {
  const run = await open();
  const names = new Set<string>();
  const begun = performance.now();
  for await (const created of run.driver.create(order(run), new AbortController().signal)) if (!('failed' in created)) names.add(created.name);
  const wall = (performance.now() - begun) / 1000;
  const took = wall * run.scale;
  const floor = run.floor();
  if (names.size !== MACHINES) throw new Error(`${run.cloud} made ${names.size} of ${MACHINES}`);
  // Ten seconds of the wall's clock are for the work itself, which does not run faster.
  const within = took <= floor * 1.2 + 10 * run.scale;
  const peakMb = process.resourceUsage().maxRSS / 1024;
  console.log(`${run.cloud.padEnd(12)} ${`${floor.toFixed(0)} s`.padStart(7)} ${`${took.toFixed(0)} s`.padStart(8)} ${(took / Math.max(1, floor)).toFixed(2).padStart(7)} ${String(sum(run.calls)).padStart(7)} ${String(run.throttled()).padStart(11)} ${`${peakMb.toFixed(0)} MB`.padStart(6)}    ${within ? 'yes' : 'no'} (${wall.toFixed(0)} s of the wall's clock)`);
  await run.close();
}
process.exit(0);
