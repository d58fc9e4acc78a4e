/** The small sibling of `npm run clouds:crash`, which makes 5,000 and kills ten times. */
import { expect, it } from 'vitest';

import { contractFound } from '../fakes/digitalocean/contract.ts';
import { crash, faultsOf } from './crash.ts';

it.each([['digitalocean', 40], ['ec2', 100]] as const)('200 machines on %s by belt create, killed twice: exactly 200 at the end, none doubled', async (cloud, scale) => {
  if (cloud === 'digitalocean' && !contractFound && process.env['CI'] !== 'true') return;
  const lines: string[] = [];
  const result = await crash(cloud, { machines: 200, kills: 2, seed: 11, scale, log: (line) => lines.push(line) });
  expect([faultsOf(result, 200), lines.filter((line) => line.includes('kill')).length], lines.join('\n')).toEqual([[], 2]);
  expect(result.killed, lines.join('\n')).toBeGreaterThan(0);
}, 120_000);
