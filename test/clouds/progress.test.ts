/** The small sibling of `npm run clouds:progress`, which makes 5,000. */
import { expect, it } from 'vitest';

import { schemasFound } from '../fakes/azure/schemas.ts';
import { contractFound } from '../fakes/digitalocean/contract.ts';
import { liesOf, watchCreate } from './progress.ts';

it.each([['digitalocean', 600, 3, contractFound], ['ec2', 600, 30, true], ['azure', 600, 10, schemasFound]] as const)('%s: the progress of belt create tells the truth', async (cloud, machines, scale, found) => {
  if (!found && process.env['CI'] !== 'true') return;
  const run = await watchCreate(cloud, machines, scale);
  expect(liesOf(cloud, run, machines), run.stderr).toEqual([]);
}, 120_000);
