import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as v from 'valibot';

import { Claims } from '../../drivers/generic/claims.ts';
import { createDriver } from '../../drivers/generic/driver.ts';
import { GenericOptions } from '../../drivers/generic/options.ts';
import { startHosts } from '../fakes/hosts.ts';
import type { DriverHarness } from './driver-harness.ts';
import { driverSuite } from './driver.suite.ts';

const REGIONS = ['rack1', 'rack2'] as const;

async function harness(): Promise<DriverHarness> {
  const hosts = await startHosts(104, '91.7');
  const home = mkdtempSync(path.join(tmpdir(), 'belt-generic-'));
  const listed = hosts.addresses.map((address, at) => ({ address, port: hosts.port, region: REGIONS[at % 2], memory_mb: at >= 100 ? 2048 : 1024 }));
  const options = v.parse(GenericOptions, { hosts: listed, home, timeout: 5 });
  const claims = new Claims(home);
  return {
    driver: () => createDriver(options),
    types: ['1024mb', '2048mb'],
    regions: REGIONS,
    async inject(fault) {
      if (fault.kind === 'lost-reply' || fault.kind === 'server-error') hosts.drop = fault.times;
      else if (fault.kind === 'slow') hosts.late = { times: fault.times, ms: 200 };
      else if (fault.kind === 'capacity') {
        const taken = { name: 'x', cluster: 'another', clusterId: 'f'.repeat(32), order: '0', port: hosts.port, user: 'root', region: 'rack1', privateAddress: null, memoryMb: null, tags: {}, claimedAt: '2026-01-02T03:04:05Z' };
        for (const address of hosts.addresses.slice(0, -fault.machines)) await claims.take(`${address}:${hosts.port}`, { ...taken, address });
      }
    },
    onCloud: async (cluster) => [...(await claims.all())].filter(([, claim]) => claim.clusterId === cluster.clusterId).map(([id, claim]) => ({ id, name: claim.name })),
    settle: () => new Promise((resolve) => setTimeout(resolve, 2)),
    earlyCalls: () => 0,
    async close() {
      await hosts.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const NO_SWITCH = 'belt cannot switch a host that it did not make; the driver says so for each';
const NO_CLOUD = 'there is no cloud that could refuse: nothing is called';
driverSuite('generic', harness, {
  'stop, start, kill and reboot, each twice': NO_SWITCH,
  'pause and unpause': NO_SWITCH,
  'resizes, twice': 'belt cannot change the size of a host that it did not make; the driver says so for each',
  'an id that is gone fails alone': NO_SWITCH,
  'power: the reply is lost after success': NO_SWITCH,
  'power: throttled with a wait named': NO_SWITCH,
  'power: the cloud fails and recovers': NO_SWITCH,
  'create: throttled with a wait named': NO_CLOUD,
  'create: throttled with no wait named': NO_CLOUD,
  'list: throttled with a wait named': NO_CLOUD,
  'list: throttled with no wait named': NO_CLOUD,
  'destroy: throttled with no wait named': NO_CLOUD,
  'destroy: the reply is lost after success': NO_CLOUD,
  'destroy: the cloud fails and recovers': NO_CLOUD,
  'lists that come in pages are read to the end': NO_CLOUD,
  'quota for a part: what could be made is made, the rest is named': 'there is no account that has a quota; hosts run out, which is the case of capacity',
  'bad credentials are one error that says so, and validate finds them': 'there are no credentials; the SSH key is tried when belt logs in',
  'a clock ten minutes off changes nothing': 'no host is asked for its time',
});
