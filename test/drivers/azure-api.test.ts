/** Calls of Azure's API that get no answer: given up in time, and nothing is left that keeps a finished belt from ending. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { AzureApi } from '../../drivers/azure/api.ts';
import { AzureOptions } from '../../drivers/azure/options.ts';
import { FAKE_SUBSCRIPTION, FAKE_TENANT, startAzure, type AzureFake } from '../fakes/azure/service.ts';
import { schemasFound } from '../fakes/azure/schemas.ts';

const never = new AbortController().signal;
let fake: AzureFake;
let folder: string;
beforeEach(async ({ skip }) => {
  skip(!schemasFound && process.env['CI'] !== 'true', 'needs ../shared/reference/azure-arm-put-schemas.json');
  folder = mkdtempSync(path.join(tmpdir(), 'belt-azure-'));
  fake = await startAzure();
  writeFileSync(path.join(folder, 'ca.pem'), fake.ca);
});
afterEach(async () => {
  await fake.close();
  rmSync(folder, { recursive: true });
});

function open(requestTimeoutMs?: number): Promise<AzureApi> {
  const options = v.parse(AzureOptions, {
    subscription_id: FAKE_SUBSCRIPTION, tenant_id: FAKE_TENANT, client_id: 'client', client_secret: 'fake-secret', endpoint: fake.url, authority_host: fake.url, ca_file: path.join(folder, 'ca.pem'),
  });
  return AzureApi.open(options, { retry: { attempts: 1, baseMs: 1, capMs: 1, budgetMs: 1, downMs: 1 }, ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }) });
}
const group = (api: AzureApi): Promise<unknown> => api.call('group', () => api.resources.resourceGroups.createOrUpdate('rg', { location: 'westeurope' }, { abortSignal: never }), never);
const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;

it('a lost answer leaves no timer behind', async () => {
  const api = await open();
  await group(api);
  const before = timers();
  fake.faults.add({ kind: 'lost-reply', on: 'PUT resourceGroups' });
  await expect(group(api)).rejects.toMatchObject({ code: 'driver_unavailable', message: 'Azure does not answer: ECONNRESET' });
  expect(timers()).toBeLessThanOrEqual(before);
});

it('an answer that does not come is given up, and not taken for an interruption', async () => {
  const api = await open(50);
  fake.faults.add({ kind: 'slow', delayMs: 2_000, on: 'PUT resourceGroups' });
  await expect(group(api)).rejects.toMatchObject({ code: 'driver_unavailable', message: 'Azure does not answer: no reply in time' });
});
