import { describe } from 'vitest';

import { driverSuite } from '../conformance/driver.suite.ts';
import { dockerHarness, EXEMPT } from './conformance.ts';
import { skipReason } from './stage.ts';

describe.skipIf(skipReason !== null)('on the host’s own engine', () => {
  driverSuite('docker', dockerHarness, { ...EXEMPT, 'creates a hundred over two regions': 'a hundred systemds on two cores take minutes: npm run e2e:large' }, { timeoutMs: 120_000 });
});
