/** The agent as it lands on a machine: one file, started as a process, killed, and started again. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { signCsr } from '../../src/certs/authority.ts';
import { createCsr } from '../../src/certs/csr.ts';
import { agentBundle, BUNDLE_BYTES_MAX, type AgentBundle } from '../../src/swarm-agent/bundle.ts';
import { readText, writeText } from '../../src/swarm-agent/identity/files.ts';
import { Harness, until, type TestMachine } from './harness.ts';

let bundle: AgentBundle;
let harness: Harness;
const children: ChildProcess[] = [];
beforeAll(async () => {
  bundle = await agentBundle();
  harness = new Harness();
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await harness.close();
});

const rootOf = (machine: TestMachine): string => machine.files.paths.state.replace(/\/var\/lib\/belt$/, '');

function run(machine: TestMachine): ChildProcess {
  const child = spawn(process.execPath, [bundle.path, 'run', '--root', rootOf(machine)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

function tool(machine: TestMachine, command: string, input = ''): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [bundle.path, command, '--root', rootOf(machine)], { input, encoding: 'utf8' });
}

const sign = (key: string, name: string) =>
  signCsr(harness.ca, createCsr(createPrivateKey(key), name), { cluster: harness.clusterId, role: 'machine', name }, { nowMs: Date.now(), hosts: [name] });
const answers = (machine: TestMachine) => until(() => harness.client.call(machine.endpoint, 'node.health', {}).catch(() => null), `${machine.name} answers`);

describe('the bundle', () => {
  test('is one small file without native parts', () => {
    const text = readFileSync(bundle.path, 'utf8');
    expect(statSync(bundle.path).size).toBeLessThan(BUNDLE_BYTES_MAX);
    // Listed, not matched against: a failure must not print the whole file.
    expect(text.match(/.{0,40}(?:\.node["'`]|process\.binding\(|node-gyp|cpufeatures|sshcrypto).{0,40}/g) ?? []).toEqual([]);
    // Alone in a folder it finds all it needs.
    const alone = join(harness.root, 'alone.mjs');
    copyFileSync(bundle.path, alone);
    expect(spawnSync(process.execPath, [alone, 'version'], { encoding: 'utf8', cwd: harness.root })).toMatchObject({ status: 0, stdout: `${bundle.version}\n` });
  });

  test('says what it cannot do', async () => {
    const machine = await harness.machine('plain', { start: false });
    const wrong = tool(machine, 'dance');
    expect(wrong.status).toBe(2);
    expect(JSON.parse(wrong.stderr)).toMatchObject({ code: 'usage' });
  });

  test('makes its key where it runs, waits for a certificate of it, and comes back as itself after kill -9', async () => {
    const machine = await harness.machine('mg0', { start: false });
    const { paths } = machine.files;
    for (const path of [paths.key, paths.cert]) machine.files.remove(path);
    const first = run(machine);
    const key = await until(() => readText(paths.key), 'the key is made');
    expect(key).toContain('PRIVATE KEY');
    expect(statSync(paths.key).mode & 0o777).toBe(0o600);
    writeText(paths.cert, sign(key, 'mg0').certificate);
    expect((await answers(machine)).role).toBe('machine');
    await harness.init(machine);
    const before = await answers(machine);
    await harness.client.cluster([machine.endpoint], 'nodes.label', { node: 'mg0', set: { kept: 'yes' } });
    first.kill('SIGKILL');
    await until(() => first.signalCode !== null, 'it is dead');
    run(machine);
    const after = await answers(machine);
    expect(after.nodeId).toBe(before.nodeId);
    const nodes = await until(() => harness.nodes(machine).catch(() => null), 'it leads again');
    expect(nodes).toMatchObject([{ name: 'mg0', labels: { kept: 'yes' }, managerStatus: 'leader' }]);
    expect(readText(paths.key)).toBe(key);
    expect(machine.files.caKey()).toBeNull();
  });

  test('takes a new certificate on SIGHUP, outlives one that is none, and stops on SIGTERM', async () => {
    const machine = await harness.machine('quiet', { start: false });
    const { paths } = machine.files;
    const child = run(machine);
    await answers(machine);
    writeText(paths.cert, 'garbage');
    child.kill('SIGHUP');
    await until(async () => (await harness.client.call(machine.endpoint, 'node.logs', {})).lines.some((line) => line.includes('SIGHUP')), 'it has heard');
    const fresh = sign(readText(paths.key) ?? '', 'quiet');
    writeText(paths.cert, fresh.certificate);
    child.kill('SIGHUP');
    await until(async () => (await harness.client.call(machine.endpoint, 'node.facts', {})).certificate.serial === fresh.serial, 'the new certificate is in force');
    child.kill('SIGTERM');
    await until(() => child.exitCode !== null, 'it has stopped');
    expect(child.exitCode).toBe(0);
    expect(readText(machine.files.paths.pid)).toBeNull();
  });
});
