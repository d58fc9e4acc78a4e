/** The docker driver in the conformance suite, on the host's own engine. */
import { connect, createDriver } from '../../drivers/docker/driver.ts';
import { clusterFilter, LABEL } from '../../drivers/docker/machine.ts';
import type { DriverHarness } from '../conformance/driver-harness.ts';
import type { Exemptions } from '../conformance/driver.suite.ts';
import { OPTIONS } from './stage.ts';

const LOCAL = 'the engine is a process of this host behind a socket: it answers or it is gone, and both are errors said at once';
const NO_LIMITS = 'Docker Engine names no limits on calls';

export const EXEMPT: Exemptions = {
  'create: the reply is lost after success': LOCAL, 'list: the reply is lost': LOCAL, 'power: the reply is lost after success': LOCAL, 'destroy: the reply is lost after success': LOCAL,
  'create: throttled with a wait named': NO_LIMITS, 'create: throttled with no wait named': NO_LIMITS, 'list: throttled with a wait named': NO_LIMITS,
  'list: throttled with no wait named': NO_LIMITS, 'power: throttled with a wait named': NO_LIMITS, 'destroy: throttled with no wait named': NO_LIMITS,
  'create: the cloud fails and recovers': LOCAL, 'list: the cloud fails and recovers': LOCAL, 'power: the cloud fails and recovers': LOCAL, 'destroy: the cloud fails and recovers': LOCAL,
  'create: slow replies': LOCAL, 'list: slow replies': LOCAL,
  'lists that come in pages are read to the end': 'Docker Engine’s lists have no pages',
  'capacity for a part: what could be made is made, the rest is named': 'an engine has no capacity of its own to run out of but the host’s disk',
  'quota for a part: what could be made is made, the rest is named': 'Docker Engine knows no quotas',
  'bad credentials are one error that says so, and validate finds them': 'the socket’s file mode is the only credential, and root passes it',
  'a clock ten minutes off changes nothing': 'the engine runs by this host’s clock',
};

export function dockerHarness(): DriverHarness {
  const docker = connect(OPTIONS);
  return {
    driver: () => createDriver(OPTIONS),
    types: ['512mb', '1gb'],
    regions: ['x', 'y'],
    inject: () => {
      throw new Error('no fault can be injected here');
    },
    async onCloud(cluster) {
      const containers = await docker.listContainers({ all: true, filters: clusterFilter(cluster) });
      return containers.map((container) => ({ id: container.Id, name: container.Labels[LABEL.name] ?? '' }));
    },
    settle: () => new Promise((resolve) => setTimeout(resolve, 100)),
    earlyCalls: () => 0,
    async close() {
      const containers = await docker.listContainers({ all: true, filters: { label: [`${LABEL.cluster}=conformance`] } });
      await createDriver(OPTIONS).destroy(containers.map((container) => container.Id), AbortSignal.timeout(60_000));
    },
  };
}
