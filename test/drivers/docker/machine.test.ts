import type { ContainerInspectInfo } from 'dockerode';
import { describe, expect, test } from 'vitest';

import { containerSpec, type HostFacts, limits, toMachine, TYPES } from '../../../drivers/docker/machine.ts';
import { partitionScript } from '../../../drivers/docker/partition.ts';
import { socketPath } from '../../../drivers/docker/options.ts';
import type { CreateOrder } from '../../../src/provision/driver.ts';

const order: CreateOrder = {
  cluster: 'c', clusterId: '0123456789abcdef0123456789abcdef', id: 'feed', machines: [], type: '2gb', memoryMb: 2048, image: null,
  sshPublicKeys: ['ssh-ed25519 AAAA one', 'ssh-ed25519 BBBB two'], userData: null, tags: { team: 'blue' }, spot: false,
};
const host: HostFacts = { memoryLimit: true, cpuQuota: true, cpus: 1, cgroupVersion: 1 };
const type = TYPES.find((one) => one.name === '2gb');

function spec(facts: HostFacts = host) {
  if (type === undefined) throw new Error('no 2gb');
  return containerSpec(order, { machine: { name: 'n1', region: 'x', zone: 'z1' }, address: '198.18.1.1', type, imageTag: 'belt-machine:1', network: 'belt-01234567' }, facts);
}

function inspected(state: Partial<ContainerInspectInfo['State']>, memory = 0): ContainerInspectInfo {
  return {
    Id: 'f'.repeat(64), Name: '/belt-01234567-n1', Created: '2026-01-02T03:04:05.678901234Z', Config: { Labels: spec().Labels }, HostConfig: { Memory: memory },
    State: { Status: 'running', Running: false, Paused: false, Restarting: false, Dead: false, ...state },
  } as unknown as ContainerInspectInfo;
}

describe('a machine as a container', () => {
  test('what is written as labels is read back as the machine', () => {
    expect(toMachine(inspected({ Running: true }))).toEqual({
      name: 'n1', driver: 'docker', id: 'f'.repeat(64), status: 'active', publicIpv4: '198.18.1.1', privateIpv4: '198.18.1.1', sshPort: 22, sshUser: 'root',
      memoryMb: 2048, region: 'x', datacenter: 'docker:x/z1', image: 'debian-12', size: '2gb', createdAt: '2026-01-02T03:04:05.678Z', tags: { team: 'blue', 'belt-order': 'feed' },
    });
  });

  test('after a resize the size is what the engine enforces, not what was ordered', () => {
    expect(toMachine(inspected({ Running: true }, 4096 * 2 ** 20))).toMatchObject({ size: '4gb', memoryMb: 4096 });
  });

  test.each([
    [{ Running: true }, 'active'], [{ Running: true, Paused: true }, 'off'], [{ Status: 'exited' }, 'off'], [{ Status: 'created' }, 'new'],
    [{ Status: 'dead', Dead: true }, 'error'], [{ Status: 'restarting', Restarting: true }, 'new'],
  ])('%j is %s', (state, status) => {
    expect(toMachine(inspected(state)).status).toBe(status);
  });

  test('limits: no more processors than the engine has, none that it cannot enforce', () => {
    if (type === undefined) throw new Error('no 2gb');
    expect(limits(type, host)).toEqual({ Memory: 2 ** 31, MemorySwap: 2 ** 31, NanoCpus: 1e9 });
    expect(limits(type, { ...host, memoryLimit: false, cpuQuota: false })).toEqual({});
  });

  test('a private view of control groups only under version 2', () => {
    expect(spec().HostConfig).toMatchObject({ CgroupnsMode: 'host' });
    expect(spec({ ...host, cgroupVersion: 2 }).HostConfig).toMatchObject({ CgroupnsMode: 'private' });
    expect(spec({ ...host, cgroupVersion: 2 }).HostConfig?.Binds).toBeUndefined();
  });

  test('all keys may log in', () => {
    expect(spec().Env).toContain('AUTHORIZED_KEYS=ssh-ed25519 AAAA one\nssh-ed25519 BBBB two');
  });
});

test('a partition’s rules are removed as often as they are there, and set once', () => {
  expect(partitionScript('198.18.1.0/24', false)).not.toContain('-I FORWARD');
  expect(partitionScript('198.18.1.0/24', true).match(/-I FORWARD/g)).toHaveLength(2);
});

test.each([
  [{}, {}, '/var/run/docker.sock'],
  [{}, { DOCKER_HOST: 'unix:///run/x.sock' }, '/run/x.sock'],
  [{ host: 'unix:///run/y.sock' }, { DOCKER_HOST: 'tcp://1.2.3.4:2376' }, '/run/y.sock'],
  [{}, { DOCKER_HOST: 'tcp://1.2.3.4:2376' }, null],
])('options %j and environment %j: socket %s', (options, env, path) => {
  expect(socketPath({ subnet: '198.18.0.0/15', image_from: 'auto', ...options }, env)).toBe(path);
});
