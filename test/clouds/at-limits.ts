/**
 * Many machines made by a driver at the real limits of its cloud, on the cloud's fake and in virtual time: how long it took beside what the limits alone
 * allow for the calls that were made, and how often the fake had to refuse one.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as v from 'valibot';

import { createDriver as createAzure } from '../../drivers/azure/driver.ts';
import { AzureOptions } from '../../drivers/azure/options.ts';
import { createDriver as createDigitalOcean } from '../../drivers/digitalocean/driver.ts';
import { DigitalOceanOptions } from '../../drivers/digitalocean/options.ts';
import { createDriver as createEc2 } from '../../drivers/ec2/driver.ts';
import { Ec2Options } from '../../drivers/ec2/options.ts';
import type { CreateOrder, Driver } from '../../src/provision/driver.ts';
import { virtualPace, type VirtualPace } from '../drivers/virtual-pace.ts';
import { FAKE_SUBSCRIPTION, FAKE_TENANT, startAzure } from '../fakes/azure/service.ts';
import { startDigitalOcean } from '../fakes/digitalocean/service.ts';
import { startEc2 } from '../fakes/ec2/service.ts';

const BOOT_MS = 30_000;
const allow_from = ['203.0.113.7'];

export interface AtLimits {
  /** Names that were made, and none twice. */
  readonly made: number;
  /** Seconds the limits alone need for the calls that were made. */
  readonly floor: number;
  /** Seconds it took. */
  readonly took: number;
  readonly throttled: number;
  readonly calls: ReadonlyMap<string, number>;
  /** What was wrong with the bodies of calls, where the cloud's contract is checked. */
  readonly violations: readonly string[];
}

interface Stage {
  readonly driver: Driver;
  readonly type: string;
  readonly region: string;
  readonly floor: () => number;
  readonly throttled: () => number;
  readonly calls: ReadonlyMap<string, number>;
  readonly violations: readonly string[];
  readonly close: () => Promise<void>;
}

/** Seconds a bucket needs for `cost`. */
const bucket = (cost: number, capacity: number, perSecond: number): number => Math.max(0, (cost - capacity) / perSecond);

/** Calls of these names, or all. */
export function callsOf(calls: ReadonlyMap<string, number>, ...names: string[]): number {
  return [...calls].filter(([name]) => names.length === 0 || names.includes(name)).reduce((total, [, n]) => total + n, 0);
}

const STAGES: Readonly<Record<string, (pace: VirtualPace, machines: number) => Promise<Stage>>> = {
  async digitalocean(pace) {
    const fake = await startDigitalOcean({ clock: pace.now, bootMs: BOOT_MS, token: 'right' });
    const driver = createDigitalOcean(v.parse(DigitalOceanOptions, { token: 'right', api_url: fake.apiUrl, allow_from }), { pace });
    // 250 calls in any minute: as many at once, as many again when a minute is over, and so on.
    const floor = (): number => Math.floor((callsOf(fake.calls) - 1) / 250) * 60;
    return { driver, type: 's-1vcpu-1gb', region: 'nyc3', floor, throttled: fake.throttled, calls: fake.calls, violations: fake.violations, close: fake.close };
  },
  async ec2(pace, machines) {
    const fake = await startEc2({ clock: pace.now, bootMs: BOOT_MS, lagMs: 1_000 });
    const options = v.parse(Ec2Options, { access_key_id: 'AKIAFAKE', secret_access_key: 'x', region: 'eu-west-1', regions: ['eu-west-1'], endpoint: fake.url, allow_from });
    const floor = (): number => Math.max(bucket(machines, 1_000, 2), bucket(callsOf(fake.calls, 'RunInstances'), 5, 2), bucket(callsOf(fake.calls, 'CreateTags'), 100, 10));
    return { driver: createEc2(options, { pace }), type: 't3.nano', region: 'eu-west-1', floor, throttled: fake.throttled, calls: fake.calls, violations: [], close: fake.close };
  },
  async azure(pace) {
    const fake = await startAzure({ clock: pace.now, bootMs: BOOT_MS });
    const folder = mkdtempSync(path.join(tmpdir(), 'belt-limits-'));
    const ca_file = path.join(folder, 'ca.pem');
    writeFileSync(ca_file, fake.ca);
    const options = v.parse(AzureOptions, { subscription_id: FAKE_SUBSCRIPTION, tenant_id: FAKE_TENANT, client_id: 'c', client_secret: 'fake-secret', endpoint: fake.url, authority_host: fake.url, ca_file, allow_from });
    const ofKind = (kind: RegExp): number => [...fake.calls].filter(([name]) => kind.test(name)).reduce((total, [, n]) => total + n, 0);
    // Names are written onto the members while these boot; every write and every read passes ARM's front door as well.
    const lanes = (): number[] => [
      bucket(ofKind(/^PATCH virtualMachines$/), 1_500, 500 / 60), bucket(ofKind(/^(PUT|PATCH|POST)/), 200, 10), bucket(ofKind(/^LIST virtualMachine/), 900, 5), bucket(ofKind(/^(GET|LIST)/), 250, 25),
    ];
    const floor = (): number => Math.max(BOOT_MS / 1000, ...lanes());
    const close = async (): Promise<void> => {
      await fake.close();
      rmSync(folder, { recursive: true });
    };
    return { driver: createAzure(options, { pace, operationPollMs: 20 }), type: 'Standard_B1s', region: 'westeurope', floor, throttled: fake.throttled, calls: fake.calls, violations: fake.violations, close };
  },
};

export const CLOUDS: readonly string[] = Object.keys(STAGES);

/** Has the driver of `cloud` make so many machines of the smallest type. Throws what the driver throws, and the first failure of a machine. */
export async function atLimits(cloud: string, machines: number): Promise<AtLimits> {
  const pace = virtualPace();
  const stage = await (STAGES[cloud] as NonNullable<(typeof STAGES)[string]>)(pace, machines);
  try {
    const names = new Set<string>();
    const beganMs = pace.now();
    for await (const created of stage.driver.create(order(stage, machines), new AbortController().signal)) {
      if ('failed' in created) throw created.error;
      names.add(created.name);
    }
    return { made: names.size, floor: stage.floor(), took: (pace.now() - beganMs) / 1000, throttled: stage.throttled(), calls: stage.calls, violations: stage.violations };
  } finally {
    await stage.close();
    pace.close();
  }
}

function order(stage: Stage, count: number): CreateOrder {
  const machines = Array.from({ length: count }, (_, n) => ({ name: `node${n + 1}`, region: stage.region, zone: null }));
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKlPcpBnzv3sGwrkISTvVVkZvjlPZ3gMUmfe1AzkpYP9 limits';
  return {
    cluster: 'limits', clusterId: '0123456789abcdef0123456789abcdef', id: 'b'.repeat(32), machines, type: stage.type, memoryMb: 512, image: null, sshPublicKeys: [key], userData: null, tags: {}, spot: false,
  };
}

/** What is wrong with a run, as sentences: machines, the time beside the floor, calls that were refused beyond the first. */
export function faultsAtLimits(run: AtLimits, machines: number): string[] {
  return [
    ...(run.made === machines ? [] : [`made ${run.made} of ${machines}`]),
    ...(run.took <= run.floor * 1.2 + 10 ? [] : [`took ${run.took.toFixed(0)} s where the limits allow ${run.floor.toFixed(0)} s`]),
    ...(run.throttled <= 1 ? [] : [`${run.throttled} calls were throttled`]),
    ...(run.violations.length === 0 ? [] : [`against the contract: ${run.violations[0]}`]),
  ];
}
