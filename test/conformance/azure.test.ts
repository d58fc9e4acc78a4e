import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { describe } from 'vitest';
import { createDriver } from '../../drivers/azure/driver.ts';
import { AzureOptions } from '../../drivers/azure/options.ts';
import { scaledPace } from '../drivers/scaled-pace.ts';
import { schemasFound } from '../fakes/azure/schemas.ts';
import { FAKE_SUBSCRIPTION, FAKE_TENANT, startAzure } from '../fakes/azure/service.ts';
import type { FaultKind } from '../fakes/fault-plan.ts';
import type { CallKind, DriverFault, DriverHarness } from './driver-harness.ts';
import { driverSuite } from './driver.suite.ts';
import { ThrottleWatch } from './throttle-watch.ts';

const OPERATION: Readonly<Record<CallKind, readonly string[]>> = {
  create: ['PUT virtualMachines', 'PUT virtualMachineScaleSets'],
  list: ['LIST virtualMachines'],
  change: ['POST start', 'POST deallocate', 'POST powerOff', 'POST restart', 'PATCH virtualMachines'],
  destroy: ['DELETE virtualMachines', 'DELETE resourceGroups'],
};
const error = (code: string): string => JSON.stringify({ error: { code, message: code } });
const REGIONS = ['westeurope', 'northeurope'] as const;

async function harness(): Promise<DriverHarness> {
  const pace = scaledPace(25);
  const cloud = { skewMs: 0 };
  const fake = await startAzure({ clock: () => pace.now() + cloud.skewMs, bootMs: 300 });
  const folder = mkdtempSync(join(tmpdir(), 'belt-azure-'));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, fake.ca);
  const watch = new ThrottleWatch(fake, pace);
  const options = fake.subscription.options as { coreQuota: number };
  const configured = { subscription_id: FAKE_SUBSCRIPTION, tenant_id: FAKE_TENANT, client_id: 'client', client_secret: 'fake-secret', endpoint: fake.url, authority_host: fake.url, ca_file: caFile, allow_from: ['203.0.113.7'] };
  return {
    driver: () => createDriver(v.parse(AzureOptions, configured), { pace, operationPollMs: 20 }),
    types: ['Standard_B1s', 'Standard_B2s'],
    regions: REGIONS,
    inject(fault: DriverFault) {
      const add = (call: CallKind, times: number, kind: FaultKind): void => fake.faults.add({ ...kind, times, on: (c) => OPERATION[call].includes(c.name) });
      if (fault.kind === 'lost-reply') add(fault.call, fault.times, { kind: 'lost-reply' });
      else if (fault.kind === 'slow') add(fault.call, fault.times, { kind: 'slow', delayMs: 200 });
      else if (fault.kind === 'server-error') add(fault.call, fault.times, { kind: 'answer', status: 503, headers: { 'content-type': 'application/json' }, body: error('ServiceUnavailable') });
      else if (fault.kind === 'throttle') watch.add((c) => OPERATION[fault.call].includes(c.name), fault.times, fault.retryAfterSeconds, error('TooManyRequests'));
      else if (fault.kind === 'capacity') fake.subscription.options.capacity.set('Standard_B1s', fault.machines);
      else if (fault.kind === 'quota') options.coreQuota = fake.subscription.usedCores() + fault.machines;
      else if (fault.kind === 'clock-skew') cloud.skewMs = fault.ms;
      else if (fault.kind === 'bad-credentials') Object.assign(fake.settings, { clientSecret: 'another', token: 'another' });
      else fake.settings.pageSize = fault.size;
    },
    onCloud: async (cluster) =>
      fake.subscription.list(`belt-${cluster.clusterId.slice(0, 12)}`, 'Microsoft.Compute/virtualMachines').map((vm) => ({ id: vm.id, name: String((vm.body['tags'] as Record<string, string>)['belt.name']) })),
    settle: () => new Promise((resolve) => setTimeout(resolve, 2)),
    earlyCalls: () => watch.early,
    close: async () => {
      await fake.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe.skipIf(!schemasFound && process.env['CI'] !== 'true')('needs ../shared/reference/azure-arm-put-schemas.json', () => {
  driverSuite('azure', harness, { 'pause and unpause': 'Azure has no such state; the driver says so for each machine' });
});
