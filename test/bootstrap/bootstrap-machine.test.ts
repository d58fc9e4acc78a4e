/** Bootstraps with the real templates in a real `sh`, and agents that are real processes. */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { createAuthority, signKey } from '../../src/certs/authority.ts';
import { newKey } from '../../src/certs/csr.ts';
import { factsOf } from '../../src/certs/identity.ts';
import { createAgentClient } from '../../src/swarm/agent-client.ts';
import { CLUSTER_ID, summary, Workbench } from './workbench.ts';

let bench: Workbench;
beforeEach(() => {
  bench = new Workbench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const ALL = 'runtime agent configuration service certificate';

test('a bare machine gets all of it, its agent answers with a certificate of ours, and a second run changes nothing', async () => {
  const machine = bench.machine('node1');
  const steps: string[] = [];
  const [first] = await bench.bootstrap([machine], { onProgress: (event) => event.kind === 'step' && steps.push(event.step) });
  expect(summary(first)).toBe(ALL);
  expect(steps).toEqual(['connect', ...ALL.split(' ')]);
  const held = factsOf(new X509Certificate(bench.read('node1', 'var/lib/belt/pki/agent.crt')));
  expect(held).toMatchObject({ cluster: CLUSTER_ID, role: 'machine', name: 'node1' });
  expect(statSync(bench.at('node1', 'var/lib/belt/pki/agent.key')).mode & 0o777).toBe(0o600);
  expect(statSync(bench.at('node1', 'var/lib/belt/pki/agent.crt')).mode & 0o777).toBe(0o600);

  const { key, pem } = newKey();
  const operator = signKey(bench.authority, createPublicKey(key).export({ type: 'spki', format: 'der' }), { cluster: CLUSTER_ID, role: 'operator', name: 'me' }, { nowMs: Date.now() });
  const client = createAgentClient({ clusterId: CLUSTER_ID, key: pem, cert: operator.certificate, roots: [bench.authority.certificate] }, { identify: factsOf });
  const facts = await client.call({ machine: 'node1', address: `${machine.publicIpv4}:2378` }, 'node.facts', {});
  client.close();
  expect(facts).toMatchObject({ machine: 'node1', role: 'machine', pid: bench.pid('node1') });

  const [second] = await bench.bootstrap([machine]);
  expect(second).toMatchObject({ ok: true, value: { planned: [], agentKey: first?.ok === true ? first.value.agentKey : '' } });
  expect(bench.pid('node1')).toBe(facts.pid);
});

test('a dry run says what would be done and leaves the machine as it is', async () => {
  const machine = bench.machine('node1');
  const [outcome] = await bench.bootstrap([machine], { dryRun: true });
  expect(summary(outcome)).toBe(ALL);
  expect(existsSync(bench.at('node1', 'opt'))).toBe(false);
  expect(existsSync(bench.at('node1', 'var'))).toBe(false);
});

test('a machine whose bootstrap died while its agent waited for the certificate is finished by the next', async () => {
  const machine = bench.machine('node1');
  const signRequest = (): string => {
    throw new Error('killed here');
  };
  const [died] = await bench.bootstrap([machine], { signer: { ...bench.signer, signRequest } });
  expect(died?.ok).toBe(false);
  expect(bench.pid('node1')).not.toBeNull();
  expect(bench.has('node1', 'var/lib/belt/pki/agent.crt')).toBe(false);
  const [next] = await bench.bootstrap([machine]);
  expect(summary(next)).toBe('certificate');
  expect(summary((await bench.bootstrap([machine]))[0])).toBe('');
});

test('only what differs is done: a dead agent is started, a changed configuration restarts it', async () => {
  const machine = bench.machine('node1');
  await bench.bootstrap([machine]);
  await bench.killAgent('node1');
  expect(summary((await bench.bootstrap([machine]))[0])).toBe('start');
  const pid = bench.pid('node1');
  expect(summary((await bench.bootstrap([{ ...machine, datacenter: 'local:b' }]))[0])).toBe('configuration start');
  expect(bench.pid('node1')).not.toBe(pid);
  expect(JSON.parse(bench.read('node1', 'etc/belt/agent.json'))).toMatchObject({ datacenter: 'local:b' });
});

test('an expired certificate is signed again for the same key, and the running agent takes it', async () => {
  const machine = bench.machine('node1');
  bench.nowMs = () => Date.now() - 31 * 86_400_000;
  await bench.bootstrap([machine]);
  const [pid, before] = [bench.pid('node1'), new X509Certificate(bench.read('node1', 'var/lib/belt/pki/agent.crt'))];
  bench.nowMs = Date.now;
  const [outcome] = await bench.bootstrap([machine]);
  expect(summary(outcome)).toBe('certificate');
  const after = new X509Certificate(bench.read('node1', 'var/lib/belt/pki/agent.crt'));
  expect(after.validToDate.getTime()).toBeGreaterThan(Date.now());
  expect(after.publicKey.equals(before.publicKey)).toBe(true);
  expect(bench.pid('node1')).toBe(pid);
});

test('a machine of another cluster is not touched', async () => {
  const machine = bench.machine('node1');
  await bench.bootstrap([machine]);
  const other = createAuthority('d'.repeat(32), Date.now());
  const [outcome] = await bench.bootstrap([machine], { cluster: { id: 'd'.repeat(32), name: 'other', roots: [other.certificate] } });
  expect(summary(outcome)).toBe(`refused: node1 belongs to another cluster (${CLUSTER_ID.slice(0, 8)}…)`);
  expect(JSON.parse(bench.read('node1', 'etc/belt/agent.json'))).toMatchObject({ clusterId: CLUSTER_ID });
});

test('one machine that fails hides no other, and says where and why', async () => {
  const machines = [bench.machine('node1'), bench.machine('node2'), bench.machine('node3')];
  writeFileSync(bench.at('node2', 'opt'), 'in the way');
  const outcomes = await bench.bootstrap(machines);
  expect(outcomes.map(summary)).toEqual([ALL, expect.stringMatching(/^remote_command: node2: bootstrap failed at runtime: mkdir: .*opt/), ALL]);
});

test('an agent that cannot start says why', async () => {
  const machine = bench.machine('node1');
  await bench.bootstrap([machine]);
  const [outcome] = await bench.bootstrap([{ ...bench.machine('node2'), publicIpv4: machine.publicIpv4 }]);
  expect(summary(outcome)).toMatch(/^remote_command: the agent of node2 did not start: failed: .*EADDRINUSE/);
});

/** The machines that got the archive from the operator: those that were sent more than the agent and itself. */
function fromOperator(names: readonly string[], archiveBytes: number): string[] {
  const least = Math.min(...names.map((name) => bench.sent.get(name) ?? 0));
  return names.filter((name) => (bench.sent.get(name) ?? 0) - least > archiveBytes / 2);
}

test('the runtime crosses the line once a datacenter; a neighbour gives it to the others', async () => {
  const archive = bench.archive();
  const names = ['a1', 'a2', 'a3', 'b1', 'b2'];
  const outcomes = await bench.bootstrap(names.map((name) => bench.machine(name, `local:${name[0]}`)), { archiveOf: async () => archive, linked: () => false });
  expect(outcomes.map(summary)).toEqual(names.map(() => ALL));
  expect(fromOperator(names, archive.bytes).map((name) => name[0]).sort()).toEqual(['a', 'b']);
  for (const name of names) expect(bench.read(name, 'opt/belt/node.sha256').trim()).toBe(archive.sha256);
});

test.each(['curl', 'wget', 'bash'])('a machine fetches the runtime with %s', async (tool) => {
  const archive = bench.archive(50_000);
  bench.onlyTool = tool;
  const names = ['a1', 'a2'];
  const outcomes = await bench.bootstrap(names.map((name) => bench.machine(name)), { archiveOf: async () => archive, linked: () => false });
  expect(outcomes.map(summary)).toEqual([ALL, ALL]);
  expect(fromOperator(names, archive.bytes)).toHaveLength(1);
});

test('where no neighbour can be reached the operator sends it to each', async () => {
  const archive = bench.archive(50_000);
  bench.onlyTool = 'none';
  const outcomes = await bench.bootstrap(['a1', 'a2'].map((name) => bench.machine(name)), { archiveOf: async () => archive, linked: () => false });
  expect(outcomes.map(summary)).toEqual([ALL, ALL]);
  expect(bench.read('a2', 'opt/belt/node.sha256')).toBe(bench.read('a1', 'opt/belt/node.sha256'));
});
