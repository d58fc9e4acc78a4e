import * as v from 'valibot';
import { describe } from 'vitest';
import { createDriver } from '../../drivers/digitalocean/driver.ts';
import { DigitalOceanOptions } from '../../drivers/digitalocean/options.ts';
import { clusterTag } from '../../drivers/digitalocean/tags.ts';
import { scaledPace } from '../drivers/scaled-pace.ts';
import { contractFound } from '../fakes/digitalocean/contract.ts';
import { startDigitalOcean } from '../fakes/digitalocean/service.ts';
import type { FaultKind } from '../fakes/fault-plan.ts';
import type { CallKind, DriverFault, DriverHarness } from './driver-harness.ts';
import { driverSuite } from './driver.suite.ts';
import { ThrottleWatch } from './throttle-watch.ts';

const OPERATION: Readonly<Record<CallKind, (name: string) => boolean>> = {
  create: (name) => name === 'droplets_create',
  list: (name) => name === 'droplets_list',
  change: (name) => name.startsWith('dropletActions_post'),
  destroy: (name) => name.startsWith('droplets_destroy'),
};
const MESSAGE = { 429: '{"id":"too_many_requests","message":"API Rate limit exceeded."}', 503: '{"id":"server_error","message":"Server was unable to give you a response."}' };

async function harness(): Promise<DriverHarness> {
  const pace = scaledPace(25);
  const cloud = { skewMs: 0 };
  const fake = await startDigitalOcean({ clock: () => pace.now() + cloud.skewMs, bootMs: 200, token: 'right' });
  const watch = new ThrottleWatch(fake, pace);
  const options = fake.account.options as { dropletLimit: number; capacity: number };
  return {
    driver: () => createDriver(v.parse(DigitalOceanOptions, { token: 'right', api_url: fake.apiUrl, allow_from: ['203.0.113.7'] }), { pace }),
    types: ['s-1vcpu-1gb', 's-1vcpu-2gb'],
    regions: ['nyc3', 'fra1'],
    inject(fault: DriverFault) {
      const add = (call: CallKind, times: number, kind: FaultKind): void => fake.faults.add({ ...kind, times, on: (c) => OPERATION[call](c.name) });
      if (fault.kind === 'lost-reply') add(fault.call, fault.times, { kind: 'lost-reply' });
      else if (fault.kind === 'slow') add(fault.call, fault.times, { kind: 'slow', delayMs: 200 });
      else if (fault.kind === 'server-error') add(fault.call, fault.times, { kind: 'answer', status: 503, body: MESSAGE[503] });
      else if (fault.kind === 'throttle') watch.add((c) => OPERATION[fault.call](c.name), fault.times, fault.retryAfterSeconds, MESSAGE[429]);
      else if (fault.kind === 'capacity') options.capacity = fake.account.droplets.size + fault.machines;
      else if (fault.kind === 'quota') options.dropletLimit = fake.account.droplets.size + fault.machines;
      else if (fault.kind === 'clock-skew') cloud.skewMs = fault.ms;
      else if (fault.kind === 'bad-credentials') fake.settings.token = 'another';
      else fake.settings.pageSizeMax = fault.size;
    },
    onCloud: async (cluster) => [...fake.account.droplets.values()].filter((d) => d.tags.includes(clusterTag(cluster.clusterId))).map((d) => ({ id: String(d.id), name: d.name })),
    settle: () => new Promise((resolve) => setTimeout(resolve, 2)),
    earlyCalls: () => watch.early,
    close: () => fake.close(),
  };
}

describe.skipIf(!contractFound && process.env['CI'] !== 'true')('needs ../shared/reference/digitalocean-openapi.json', () => {
  driverSuite('digitalocean', harness, { 'pause and unpause': 'a droplet cannot be paused; the driver says so for each machine' });
});
