/**
 * The conformance suite that every driver passes. A driver's test file runs it in a few lines:
 *
 *     driverSuite('ec2', () => makeEc2Harness(), { 'pause and unpause': 'EC2 has no such state' });
 *
 * An exemption names its case and its reason; it shows as a skipped test with the reason in its title, and is refused by the
 * compiler when no such case exists.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DRIVER_CASES, type DriverCase } from './driver-cases.ts';
import type { DriverHarness } from './driver-harness.ts';

export type DriverCaseName = keyof typeof DRIVER_CASES;
export type Exemptions = Readonly<Partial<Record<DriverCaseName, string>>>;

export interface SuiteOptions {
  /** For one case, milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
}

/** Registers every case for one driver. `makeHarness` is called for each case: an empty cloud every time. */
export function driverSuite(name: string, makeHarness: () => Promise<DriverHarness> | DriverHarness, exemptions: Exemptions = {}, options: SuiteOptions = {}): void {
  const timeoutMs = options.timeoutMs ?? 30_000;
  describe(`driver ${name}`, () => {
    for (const [title, run] of Object.entries(DRIVER_CASES) as [DriverCaseName, DriverCase][]) {
      const reason = exemptions[title];
      if (reason === undefined) test(title, () => runCase(run, makeHarness, timeoutMs), timeoutMs + 5_000);
      else test.skip(`${title} (exempt: ${reason})`, () => {});
    }
    test('every exemption has a reason', () => {
      for (const reason of Object.values(exemptions)) expect(reason.length).toBeGreaterThan(10);
    });
  });
}

async function runCase(run: DriverCase, makeHarness: () => Promise<DriverHarness> | DriverHarness, timeoutMs: number): Promise<void> {
  const harness = await makeHarness();
  const cluster = { cluster: 'conformance', clusterId: randomBytes(16).toString('hex') };
  try {
    await run({ harness, cluster, signal: AbortSignal.timeout(timeoutMs) });
  } finally {
    await harness.close();
  }
}
