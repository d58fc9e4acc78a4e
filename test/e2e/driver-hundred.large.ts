/** A hundred machines of the docker driver at once. */
import { describe } from 'vitest';

import { DRIVER_CASES } from '../conformance/driver-cases.ts';
import { driverSuite, type Exemptions } from '../conformance/driver.suite.ts';
import { dockerHarness } from './conformance.ts';
import { skipReason } from './stage.ts';

const others = Object.keys(DRIVER_CASES).filter((title) => title !== 'creates a hundred over two regions');
const exempt = Object.fromEntries(others.map((title) => [title, 'runs with npm run e2e'])) as Exemptions;

describe.skipIf(skipReason !== null)('a hundred', () => driverSuite('docker', dockerHarness, exempt, { timeoutMs: 280_000 }));
