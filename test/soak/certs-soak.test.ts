import { expect, test } from 'vitest';

import { runCertsSoak } from './certs-soak.ts';

test('certificates of seconds on real agents renew under load without a failed call', { timeout: 90_000 }, async () => {
  const { failed, calls, certificates, operatorCertificates } = await runCertsSoak({ seconds: 12, lifetimeSeconds: 12, workers: 2, operators: 3, loadOnly: true });
  expect(failed).toEqual([]);
  expect(calls).toBeGreaterThan(300);
  expect(Object.keys(certificates)).toHaveLength(5);
  for (const [node, count] of Object.entries(certificates)) expect([node, count > 1]).toEqual([node, true]);
  expect(operatorCertificates).toBeGreaterThan(3);
});
