/** What a bootstrap decides, without a machine. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { parseFacts, type Facts } from '../../src/bootstrap/facts.ts';
import { renderFile, renderShell } from '../../src/bootstrap/render.ts';
import { Seeds } from '../../src/bootstrap/seeds.ts';
import { judgeCertificate } from '../../src/bootstrap/steps/certificate.ts';
import { STEPS } from '../../src/bootstrap/steps/index.ts';
import { agentConfig, serviceFiles, type Wanted } from '../../src/bootstrap/wanted.ts';
import { createAuthority, signKey } from '../../src/certs/authority.ts';
import type { Role } from '../../src/certs/profiles.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-03-01T00:00:00Z');
const ID = 'a'.repeat(32);
const ca = createAuthority(ID, NOW);
const stranger = createAuthority('b'.repeat(32), NOW);
const forger = createAuthority(ID, NOW);
const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });
const certificate = (role: Role, ageDays: number, by = ca) => signKey(by, publicKey, { cluster: by.cluster, role, name: 'node1' }, { nowMs: NOW - ageDays * DAY, lifetimeMs: 30 * DAY }).certificate;

const machine = {
  name: 'node1', driver: 'ec2', id: 'i-1', status: 'active', publicIpv4: '203.0.113.1', privateIpv4: '10.0.0.1', sshPort: 22, sshUser: 'admin', memoryMb: 512,
  region: 'x', datacenter: 'ec2:x', image: null, size: 't', createdAt: null, tags: {},
} as const;
const cluster = { id: ID, name: 'c', roots: [ca.certificate] };
const wanted: Wanted = {
  machine: 'node1', cluster, config: agentConfig(machine, cluster), agent: { path: '/x', sha256: 'e'.repeat(64), version: '1.2.3' }, delivery: 'send', runtime: { sha256: 'f'.repeat(64) },
  ...serviceFiles(cluster, '/cache'), engine: { kind: 'docker', version: '', installUrl: '' }, renew: false, nowMs: NOW,
};
const ready: Facts = {
  root: '', uid: 0, arch: 'x86_64', os: 'debian', osVersion: '12', service: 'systemd', hostname: 'node1', engine: '/usr/bin/dockerd', runtime: { sha256: 'f'.repeat(64) },
  files: new Map([
    ['/opt/belt/belt-agent.mjs', 'e'.repeat(64)], ['/etc/belt/agent.json', wanted.config.sha256], ['/etc/systemd/system/belt-agent.service', wanted.unit.sha256], ['/etc/sysctl.d/60-belt.conf', wanted.sysctl.sha256],
  ]),
  certificate: certificate('machine', 1), roots: ca.certificate, hasKey: true, running: true, outdated: [],
};
const bare: Facts = { ...ready, hostname: 'localhost', engine: null, runtime: null, files: new Map(), certificate: null, roots: null, hasKey: false, running: false };
const planned = (facts: Facts, wish: Wanted = wanted): string => STEPS.filter((step) => step.check(facts, wish) !== null).map(({ id }) => id).join(' ');

describe('steps', () => {
  test.each<[string, Partial<Facts>, Partial<Wanted>, string]>([
    ['as wanted', {}, {}, ''],
    ['bare', bare, {}, 'runtime hostname kernel engine agent configuration service certificate'],
    ['another runtime', { runtime: { sha256: '0'.repeat(64) } }, {}, 'runtime start'],
    ['another agent', { files: new Map([...ready.files, ['/opt/belt/belt-agent.mjs', '0'.repeat(64)]]) }, {}, 'agent start'],
    ['another name', { hostname: 'x' }, {}, 'hostname'],
    ['no engine wanted', { engine: null }, { engine: { kind: 'none', version: '', installUrl: '' } }, ''],
    ['not running', { running: false }, {}, 'start'],
    ['replaced under a running agent', { outdated: ['opt/belt/belt-agent.mjs'] }, {}, 'start'],
    ['due', { certificate: certificate('machine', 25) }, {}, 'certificate'],
    ['expired and not running', { certificate: certificate('worker', 31), running: false }, {}, 'certificate start'],
    ['asked to renew', {}, { renew: true }, 'certificate'],
    ['a folder of this host', { service: 'start', hostname: null, engine: null, files: new Map([...ready.files, ['/etc/belt/start', wanted.start.sha256]]) }, {}, ''],
  ])('%s', (_name, facts, wish, steps) => {
    expect(planned({ ...ready, ...facts }, { ...wanted, ...wish })).toBe(steps);
  });
});

describe('the certificate', () => {
  test.each<[string, Partial<Facts>, string]>([
    ['there and young', {}, 'keep'],
    ['of a node, however old', { certificate: certificate('worker', 29) }, 'keep'],
    ['of a node, expired', { certificate: certificate('worker', 31) }, 'resign'],
    ['of a machine, past three quarters', { certificate: certificate('machine', 23) }, 'resign'],
    ['missing', { certificate: null }, 'enrol'],
    ['without its key', { hasKey: false }, 'enrol'],
    ['without roots', { roots: null }, 'enrol'],
    ['of a machine, of a CA we do not know', { certificate: certificate('machine', 1, forger) }, 'enrol'],
    ['of a manager, of a CA we do not know', { certificate: certificate('manager', 1, forger) }, 'certificate: node1 holds a manager certificate that this cluster’s CA has not signed'],
    ['of another cluster', { certificate: certificate('machine', 1, stranger) }, 'refused: node1 belongs to another cluster (bbbbbbbb…)'],
  ])('%s', (_name, facts, verdict) => {
    const judge = (): string => {
      try {
        return judgeCertificate({ ...ready, ...facts }, wanted).do;
      } catch (error) {
        return `${(error as { code: string }).code}: ${(error as Error).message}`;
      }
    };
    expect(judge()).toBe(verdict);
  });
});

describe('facts', () => {
  const lines = ['root ', 'user 0', 'arch x86_64', 'os ID=debian', 'os VERSION_ID="12"', 'service systemd', 'hostname node1', `file ${'1'.repeat(64)} /opt/belt/belt-agent.mjs`, 'key there', 'running 12'];
  test('are read', () => {
    expect(parseFacts('node1', lines)).toEqual({
      root: '', uid: 0, arch: 'x86_64', os: 'debian', osVersion: '12', service: 'systemd', hostname: 'node1', engine: null, runtime: null,
      files: new Map([['/opt/belt/belt-agent.mjs', '1'.repeat(64)]]), certificate: null, roots: null, hasKey: true, running: true, outdated: [],
    });
  });
  test.each(['', 'garbage', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'])('a certificate that a power cut cut short is none: %j', (pem) => {
    expect(parseFacts('node1', [...lines, `certificate ${Buffer.from(pem).toString('base64')}`]).certificate).toBeNull();
  });
  test.each([
    ['no user', lines.filter((line) => !line.startsWith('user')), /user is ''/],
    ['an architecture that is none', [...lines.filter((line) => !line.startsWith('arch')), 'arch $(reboot)'], /arch is '\$\(reboot\)'/],
    ['a line without end', [...lines, `x ${'y'.repeat(70_000)}`], /too long/],
  ])('%s', (_name, given, why) => {
    expect(() => parseFacts('node1', given)).toThrow(why);
  });
});

describe('templates', () => {
  test('an unknown variable, an unused one and a value with a line break are errors', () => {
    expect(() => renderShell('bootstrap/hostname.sh')).toThrow('no value for {{name}}');
    expect(() => renderShell('bootstrap/hostname.sh', { name: 'a', other: 'b' })).toThrow('has no {{other}}');
    expect(() => renderFile('belt-agent.service', { cluster: 'a\nExecStartPre=/bin/false' })).toThrow('control character');
  });
  test('values are one word of the shell, whatever they hold', () => {
    expect(renderShell('bootstrap/agent-link.sh', { target: "it's; rm -rf /" })).toContain("ln -sfn -- 'it'\\''s; rm -rf /' ");
  });
});

describe('seeds', () => {
  test('the first is served by the operator, the others wait and go to it', async () => {
    const seeds = new Seeds();
    for (let count = 0; count < 3; count += 1) seeds.expect('a');
    expect(await seeds.claim('a')).toEqual({ from: 'operator', share: true });
    const others = [seeds.claim('a'), seeds.claim('a')];
    const seed = { address: '10.0.0.1:2377', path: 'x' };
    seeds.opened('a', seed);
    expect(await Promise.all(others)).toEqual([{ from: 'seed', seed }, { from: 'seed', seed }]);
  });
  test('one that fails makes room for the next', async () => {
    const seeds = new Seeds();
    seeds.expect('a');
    seeds.expect('a');
    await seeds.claim('a');
    const next = seeds.claim('a');
    seeds.settle('a');
    seeds.opened('a', null);
    expect(await next).toEqual({ from: 'operator', share: false });
  });
  test('it is let go when nobody can come any more', async () => {
    const seeds = new Seeds();
    seeds.expect('a');
    seeds.expect('a');
    seeds.settle('a');
    let over = false;
    const drained = seeds.drained('a').then(() => (over = true));
    await Promise.resolve();
    expect(over).toBe(false);
    seeds.settle('a');
    await drained;
    expect(over).toBe(true);
  });
});
