/** Every cell of the authorization table, over real TLS, and everybody who must not get that far. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createAuthority } from '../../src/certs/authority.ts';
import { createCsr, newKey } from '../../src/certs/csr.ts';
import { isBeltError } from '../../src/errors.ts';
import { CALLERS, CALLS, type Caller, type CallName } from '../../src/swarm-agent/api/calls.ts';
import { dial, type CallClient } from '../../src/swarm-agent/api/client.ts';
import { renderAuthTable } from './auth-table.ts';
import { Harness, until, type TestMachine } from './harness.ts';

let harness: Harness;
let mg0: TestMachine;
let node0: TestMachine;
beforeAll(async () => {
  harness = new Harness();
  const made = await harness.cluster(1, 1);
  mg0 = made.managers[0]!;
  node0 = made.workers[0]!;
});
afterAll(() => harness.close());

type Shown = { readonly key: string; readonly cert: string } | null;

function connect(shown: Shown, protocol: 'belt/1' | 'belt-join/1', machine = mg0): Promise<CallClient> {
  return dial({ address: machine.endpoint.address, machine: machine.name, protocol, identity: shown, roots: [harness.ca.certificate], verify: () => undefined, timeoutMs: 3000 });
}

/** The code a call ends with; its parameters are never valid, so that an allowed call does nothing. */
async function outcome(client: CallClient, name: CallName): Promise<string> {
  return client.call(name, 'nothing that fits' as never, { timeoutMs: 3000 }).then(() => 'ok', (error: unknown) => (isBeltError(error) ? error.code : String(error)));
}

/** What that caller shows. A node's certificate must be of a node the cluster knows, as roles are looked up. */
function shownBy(caller: Caller): Shown {
  if (caller === 'none') return null;
  if (caller === 'manager') return { key: mg0.agent!.identity.key, cert: mg0.agent!.identity.certificate.pem };
  if (caller === 'worker') return { key: node0.agent!.identity.key, cert: node0.agent!.identity.certificate.pem };
  return harness.credentials(caller, 'someone');
}

describe('the authorization table', () => {
  test('docs/auth.md shows it', () => {
    expect(readFileSync(new URL('../../docs/auth.md', import.meta.url), 'utf8')).toContain(renderAuthTable());
  });

  const cells = (Object.keys(CALLS) as CallName[]).flatMap((name) => CALLERS.map((caller) => ({ name, caller, allowed: (CALLS[name].roles as readonly Caller[]).includes(caller) })));
  test.each(cells)('$name by $caller: $allowed', async ({ name, caller, allowed }) => {
    const protocol = caller === 'none' ? 'belt-join/1' : 'belt/1';
    const client = await connect(shownBy(caller), protocol);
    expect(await outcome(client, name)).toBe(allowed ? 'bad_request' : 'forbidden');
    client.close();
  });
});

describe('turned away, with the reason', () => {
  const refusal = async (shown: Shown): Promise<{ code: string; message: string }> => {
    const client = await connect(shown, 'belt/1');
    return client.call('node.facts', {}, { timeoutMs: 3000 }).then(() => ({ code: 'ok', message: '' }), (error: unknown) => error as { code: string; message: string });
  };

  test('no certificate', async () => {
    expect(await refusal(null)).toMatchObject({ code: 'certificate', message: 'the other side showed no certificate' });
  });

  test('a certificate of another cluster', async () => {
    const other = createAuthority('f'.repeat(32), Date.now());
    expect(await refusal(harness.credentials('operator', 'eve', { ca: other }))).toMatchObject({ code: 'certificate', message: expect.stringContaining('not acceptable') });
  });

  test('a certificate that names another cluster, though our CA signed it', async () => {
    const twin = { ...harness.ca, cluster: 'e'.repeat(32) };
    expect(await refusal(harness.credentials('operator', 'eve', { ca: twin }))).toMatchObject({ code: 'certificate', message: expect.stringContaining('of another cluster') });
  });

  test('an expired certificate', async () => {
    const old = harness.credentials('operator', 'late', { nowMs: Date.now() - 7_200_000, lifetimeMs: 3_600_000 });
    expect(await refusal(old)).toMatchObject({ code: 'certificate', message: expect.stringMatching(/EXPIRED|ran out/) });
  });

  test('a revoked certificate: at once on open connections, at the door afterwards, on every agent', async () => {
    const credentials = harness.credentials('operator', 'mallory');
    const open = await connect(credentials, 'belt/1');
    await open.call('certs.record', { certificate: credentials.cert });
    const ended = new Promise<Error>((resolve) => open.onClose(resolve));
    expect((await harness.client.cluster([mg0.endpoint], 'certs.revoke', { which: 'operator:mallory' })).serials).toEqual([credentials.serial]);
    expect((await ended).message).toContain('is revoked');
    expect(await refusal(credentials)).toMatchObject({ code: 'certificate', message: expect.stringContaining('is revoked') });
    await until(() => node0.files.revoked().includes(credentials.serial), 'the worker keeps the revoked serial on disk');
    const atWorker = await connect(credentials, 'belt/1', node0);
    await expect(atWorker.call('node.facts', {})).rejects.toMatchObject({ code: 'certificate', message: expect.stringContaining('is revoked') });
  });

  test('a manager that is none of the state’s, though its certificate counts, passes on no call in an operator’s name', async () => {
    const stray = await connect(harness.credentials('manager', 'd'.repeat(32)), 'belt/1');
    const forwarded = stray.call('forward', { call: 'token.show', params: { role: 'manager' }, request: 'e'.repeat(32), caller: { role: 'operator', name: 'eve' } });
    await expect(forwarded).rejects.toMatchObject({ code: 'forbidden', message: expect.stringContaining('is no manager of this cluster') });
  });

  test('a manager’s certificate for another node, to whom it dials', async () => {
    const wrong = { ...mg0.endpoint, nodeId: '0'.repeat(32) };
    await expect(harness.clientAs('operator', 'careful').call(wrong, 'node.facts', {})).rejects.toMatchObject({ code: 'certificate', message: expect.stringContaining('not 0000') });
  });

  test('a wrong, a rotated and a foreign token; and a manager of another CA than the token’s', async () => {
    const joiner = await harness.machine('joiner');
    const join = (token: string, via = mg0) => harness.client.call(joiner.endpoint, 'node.join', { managers: [via.endpoint.address], token });
    const token = await harness.token('worker', mg0);
    const wrong = token.slice(0, -1) + (token.endsWith('a') ? 'b' : 'a');
    await expect(join(wrong)).rejects.toMatchObject({ code: 'bad_token', message: 'the join token is wrong or was rotated' });
    await harness.client.cluster([mg0.endpoint], 'token.rotate', { role: 'worker' });
    await expect(join(token)).rejects.toMatchObject({ code: 'bad_token', message: 'the join token is wrong or was rotated' });
    await expect(join('SWMTKN-1-x-y')).rejects.toMatchObject({ code: 'bad_token' });
    const foreign = token.replace(/^BELT-1-[0-9a-f]{64}/, `BELT-1-${'0'.repeat(64)}`);
    await expect(join(foreign)).rejects.toMatchObject({ code: 'certificate', message: expect.stringContaining('is of another CA than the token') });
    // A worker or a bare machine is no manager, whatever it says.
    await expect(join(await harness.token('worker', mg0), node0)).rejects.toMatchObject({ code: 'certificate', message: expect.stringContaining('is no manager') });
  });

  test('a joiner with a good token that is not who it says, by the certificate that the operator gave it', async () => {
    const token = await harness.token('worker', mg0);
    const own = harness.credentials('machine', 'eve');
    const request = {
      token, csr: createCsr(createPrivateKey(own.key), 'eve'), nonce: 'a'.repeat(32), machine: own.cert, name: 'eve', address: '127.0.0.1:1', datacenter: 'local:a', agentVersion: '0.0.0', engine: 'none' as const,
    };
    const join = async (change: Partial<typeof request>): Promise<string> => {
      const client = await connect(null, 'belt-join/1');
      return client.call('join', { ...request, ...change }).then(() => 'joined', (error: Error) => error.message).finally(() => client.close());
    };
    expect(await join({ name: 'node9' })).toBe('the certificate of machine eve is not the one of node9');
    expect(await join({ address: '10.0.0.1:2378' })).toBe('eve joins from 10.0.0.1, which is not in the certificate that bootstrap gave it');
    expect(await join({ csr: createCsr(newKey().key, 'eve') })).toBe('eve joins with another key than its certificate’s');
    expect(await join({ machine: harness.credentials('machine', 'eve', { ca: createAuthority(harness.clusterId, Date.now()) }).cert })).toMatch(/is not signed by the cluster's CA$/);
    expect(await join({ machine: harness.credentials('worker', 'eve').cert })).toBe('the certificate of worker eve is not one of a machine');
    expect(await join({ machine: 'x' })).toBe('the joiner sent no certificate that can be read');
    expect(await join({})).toBe('joined');
  });
});
