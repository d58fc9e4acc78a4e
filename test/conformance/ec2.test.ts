import * as v from 'valibot';
import { createDriver } from '../../drivers/ec2/driver.ts';
import { Ec2Options } from '../../drivers/ec2/options.ts';
import { scaledPace } from '../drivers/scaled-pace.ts';
import { startEc2 } from '../fakes/ec2/service.ts';
import type { FaultKind } from '../fakes/fault-plan.ts';
import type { CallKind, DriverFault, DriverHarness } from './driver-harness.ts';
import { driverSuite } from './driver.suite.ts';
import { ThrottleWatch } from './throttle-watch.ts';

const OPERATION: Readonly<Record<CallKind, readonly string[]>> = {
  create: ['RunInstances'],
  list: ['DescribeInstances'],
  change: ['StartInstances', 'StopInstances', 'RebootInstances', 'ModifyInstanceAttribute'],
  destroy: ['TerminateInstances'],
};
const error = (code: string): string => `<?xml version="1.0"?><Response><Errors><Error><Code>${code}</Code><Message>${code}</Message></Error></Errors><RequestID>r</RequestID></Response>`;
const REGIONS = ['eu-west-1', 'us-east-1'] as const;

async function harness(): Promise<DriverHarness> {
  const pace = scaledPace(25);
  const cloud = { skewMs: 0 };
  const fake = await startEc2({ clock: () => pace.now() + cloud.skewMs, bootMs: 200, lagMs: 100 });
  const watch = new ThrottleWatch(fake, pace);
  const options = fake.options as { instanceLimit: number };
  return {
    driver: () => createDriver(v.parse(Ec2Options, { access_key_id: 'AKIAFAKE', secret_access_key: 'x', region: REGIONS[0], regions: [...REGIONS], endpoint: fake.url, allow_from: ['203.0.113.7'] }), { pace }),
    types: ['t3.nano', 't3.small'],
    regions: REGIONS,
    inject(fault: DriverFault) {
      const add = (call: CallKind, times: number, kind: FaultKind): void => fake.faults.add({ ...kind, times, on: (c) => OPERATION[call].includes(c.name) });
      if (fault.kind === 'lost-reply') add(fault.call, fault.times, { kind: 'lost-reply' });
      else if (fault.kind === 'slow') add(fault.call, fault.times, { kind: 'slow', delayMs: 200 });
      else if (fault.kind === 'server-error') add(fault.call, fault.times, { kind: 'answer', status: 503, body: error('Unavailable') });
      else if (fault.kind === 'throttle') watch.add((c) => OPERATION[fault.call].includes(c.name), fault.times, fault.retryAfterSeconds, error('RequestLimitExceeded'), 503);
      else if (fault.kind === 'capacity') fake.options.capacity.set('t3.nano', fault.machines);
      else if (fault.kind === 'quota') options.instanceLimit = fault.machines;
      else if (fault.kind === 'clock-skew') cloud.skewMs = fault.ms;
      else if (fault.kind === 'bad-credentials') fake.settings.accessKey = 'AKIAOTHER';
      else fake.settings.pageSizeMax = fault.size;
    },
    onCloud: async (cluster) =>
      REGIONS.flatMap((name) => [...fake.region(name).instances.values()].filter((i) => i.target !== 'terminated' && i.tags.get('belt.cluster-id') === cluster.clusterId).map((i) => ({ id: `${name}/${i.id}`, name: i.tags.get('Name') ?? '' }))),
    settle: () => new Promise((resolve) => setTimeout(resolve, 2)),
    earlyCalls: () => watch.early,
    close: () => fake.close(),
  };
}

driverSuite('ec2', harness, {
  'pause and unpause': 'EC2 has no such state; the driver says so for each machine',
  'create: throttled with a wait named': 'EC2 names no wait; the case without one runs',
  'list: throttled with a wait named': 'EC2 names no wait; the case without one runs',
  'power: throttled with a wait named': 'EC2 names no wait; the case without one runs',
});
