import { driverSuite } from '../../conformance/driver.suite.ts';
import { makeLocalHarness } from './harness.ts';

const NO_LIMITS = 'the host process is ours and throttles nobody';
const NO_SERVER = 'there is no far side that fails and recovers; a host that dies is shown in host.test.ts';
const NO_ACCOUNT = 'a folder of the user has no account, quota or capacity';

driverSuite('local', makeLocalHarness, {
  'create: throttled with a wait named': NO_LIMITS,
  'create: throttled with no wait named': NO_LIMITS,
  'list: throttled with a wait named': NO_LIMITS,
  'list: throttled with no wait named': NO_LIMITS,
  'power: throttled with a wait named': NO_LIMITS,
  'destroy: throttled with no wait named': NO_LIMITS,
  'create: the cloud fails and recovers': NO_SERVER,
  'list: the cloud fails and recovers': NO_SERVER,
  'power: the cloud fails and recovers': NO_SERVER,
  'destroy: the cloud fails and recovers': NO_SERVER,
  'lists that come in pages are read to the end': 'the list is one answer over a local socket',
  'capacity for a part: what could be made is made, the rest is named': NO_ACCOUNT,
  'quota for a part: what could be made is made, the rest is named': NO_ACCOUNT,
  'bad credentials are one error that says so, and validate finds them': NO_ACCOUNT,
  'a clock ten minutes off changes nothing': 'both sides are on one box and read one clock',
});
