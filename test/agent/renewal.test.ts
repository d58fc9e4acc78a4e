/** Certificates that live seconds, the CA replaced under writes, and renewal while there is no quorum: nothing stops for any of it. */
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';

import { isBeltError } from '../../src/errors.ts';
import { createAuthority, exportKey } from '../../src/certs/authority.ts';
import { dial } from '../../src/swarm-agent/transport/dial.ts';
import { encodeFrame } from '../../src/swarm-agent/transport/frames.ts';
import { HELLO_FRAME, PING_FRAME } from '../../src/swarm-agent/transport/raft-codec.ts';
import { Harness, leaderOf, until, type TestMachine } from './harness.ts';

let harness: Harness;
afterEach(() => harness.close());

/**
 * Labels a node again and again until told to stop; resolves with how often, rejects with the first failure. That the managers elect a leader just
 * then is no failure of a certificate: a machine that is busy with other suites can hold up heartbeats, and nothing was changed.
 */
function writeUntil(stopped: () => boolean, via: readonly TestMachine[]): Promise<number> {
  const write = async (): Promise<number> => {
    let count = 0;
    while (!stopped()) {
      const machine = via[count % via.length]!;
      try {
        await harness.client.cluster([machine.endpoint], 'nodes.label', { node: 'mg0', set: { count: String(count) } });
        count += 1;
      } catch (error) {
        if (!isBeltError(error, 'no_quorum')) throw error;
      }
    }
    return count;
  };
  return write();
}

/** A connection of Raft to `to`, with a certificate of `as`'s name that the CA in force signs now; it answers for itself as long as it is let. */
async function raftConnection(to: TestMachine, as: TestMachine): Promise<TLSSocket> {
  const [from, self] = [as, to].map(({ agent }) => agent!.identity.certificate.name);
  const { key, cert } = harness.credentials('manager', from!);
  const { socket } = await dial({ address: to.endpoint.address, protocol: 'raft', credentials: { key, cert, ca: [harness.ca.certificate] }, identify: to.agent!.identity.identify, expect: self! });
  socket.write(encodeFrame(HELLO_FRAME, JSON.stringify({ group: `${harness.clusterId}/0`, from, to: self })));
  const pings = setInterval(() => socket.write(encodeFrame(PING_FRAME, '')), 500);
  socket.on('error', () => undefined).resume().once('close', () => clearInterval(pings));
  return socket;
}

describe('renewal', () => {
  test('certificates of six seconds renew three times under load, without a failed call', async () => {
    harness = new Harness({ lifetimeMs: 6000 });
    const { managers, workers: [node0] } = await harness.cluster(3, 1);
    let done = false;
    const writes = writeUntil(() => done, managers);
    const seen = new Map([...managers, node0!].map((machine) => [machine, new Set<string>()]));
    await Promise.race([
      writes,
      until(() => {
        for (const [machine, serials] of seen) serials.add(machine.agent!.identity.certificate.serial);
        return [...seen.values()].every(({ size }) => size >= 4);
      }, 'four certificates each', 25_000),
    ]);
    done = true;
    expect(await writes).toBeGreaterThan(20);
    expect(await harness.nodes(managers[0]!)).toMatchObject([{ status: 'ready' }, { status: 'ready' }, { status: 'ready' }, { name: 'node0', status: 'ready' }]);
    const { certificates } = await harness.client.cluster([managers[0]!.endpoint], 'certs.list', {});
    expect(certificates.filter(({ name }) => name === 'node0').length).toBeGreaterThanOrEqual(3);
  });

  test('a worker renews while there is no quorum; it is recorded when that is back', async () => {
    harness = new Harness();
    const { managers, workers: [node0] } = await harness.cluster(3, 1);
    const [mg0, mg1, mg2] = managers;
    await harness.stop(mg1!, mg2!);
    const before = node0!.agent!.identity.certificate.serial;
    await harness.client.call(node0!.endpoint, 'node.renew', {});
    const { serial } = node0!.agent!.identity.certificate;
    expect(serial).not.toBe(before);
    await harness.start(mg1!);
    await until(() => leaderOf([mg0!, mg1!]), 'a quorum');
    await until(async () => (await harness.client.cluster([mg0!.endpoint], 'certs.list', {})).certificates.some((one) => one.serial === serial), 'the renewal is recorded');
  });
});

test('a certificate that is written down only after its node was removed is revoked with that', async () => {
  harness = new Harness();
  const { managers: [mg0], workers: [node0] } = await harness.cluster(1, 1);
  const { id } = (await harness.nodes(mg0!)).find(({ name }) => name === 'node0')!;
  const late = harness.credentials('worker', id);
  await harness.client.cluster([mg0!.endpoint], 'nodes.remove', { node: 'node0', leaving: true });
  const manager = harness.clientAs('manager', mg0!.agent!.identity.certificate.name);
  await manager.cluster([mg0!.endpoint], 'member.issued', { certificate: late.cert });
  await until(() => mg0!.files.revoked().includes(late.serial), 'the late certificate counts no more');
  expect(node0!.agent!.identity.certificate.serial).not.toBe(late.serial);
});

describe('rotation of the CA', () => {
  test('goes on under writes with a node switched off, which comes back to the new root', async () => {
    harness = new Harness();
    const { managers, workers: [node0, node1] } = await harness.cluster(3, 2);
    const [mg0] = managers;
    await harness.stop(node1!);
    const oldToken = await harness.token('worker', mg0!);
    // Somebody who has the old key speaks as a manager, and is to be cut off with the root.
    const forger = await raftConnection(mg0!, managers[1]!);
    let done = false;
    const writes = writeUntil(() => done, managers);
    const next = createAuthority(harness.clusterId, Date.now(), 2);
    expect((await harness.client.cluster([mg0!.endpoint], 'ca.rotate', { certificate: next.certificate, key: exportKey(next) })).phase).toBe('trust');
    let operator = harness.client;
    const status = async () => operator.cluster([mg0!.endpoint], 'ca.status', {});
    await until(async () => (await status()).phase === 'reissue' && (await status()).waiting.join() === 'node1', 'all but the node that is off are renewed', 20_000);
    done = true;
    expect(await writes).toBeGreaterThan(10);
    // An operator of the CA on its way out who comes late.
    const late = harness.credentials('operator', 'late');
    expect(await operator.cluster([mg0!.endpoint], 'certs.record', { certificate: late.cert })).toEqual({ changed: true });
    // What the CLI does when the new root signs: the operator's certificate is renewed too.
    harness.ca = next;
    operator = harness.clientAs('operator', 'after');
    await harness.start(node1!);
    await until(async () => (await status()).phase === 'none', 'the old root is gone', 20_000);
    for (const machine of [...managers, node0!, node1!]) {
      await until(() => machine.agent!.identity.roots.join('').trim() === next.certificate.trim(), `${machine.name} trusts the new root alone`);
    }
    const { nodes } = await operator.cluster([mg0!.endpoint], 'cluster.nodes', {});
    expect(nodes.every(({ status: now }) => now === 'ready')).toBe(true);
    expect((await operator.cluster([mg0!.endpoint], 'token.show', { role: 'worker' })).token).not.toBe(oldToken);
    await expect(harness.client.call(node0!.endpoint, 'node.renew', {})).rejects.toMatchObject({ code: 'certificate' });
    await until(() => forger.destroyed, 'the forger is cut off');
    const { certificates } = await operator.cluster([mg0!.endpoint], 'certs.list', {});
    const inUse = new Set([...managers, node0!, node1!].map((machine) => machine.agent!.identity.certificate.serial));
    expect(certificates.filter(({ caDropped }) => !caDropped).map(({ serial }) => serial).sort()).toEqual([...inUse].sort());
    expect(certificates.find(({ serial }) => serial === late.serial)).toMatchObject({ name: 'late', caDropped: true });
  });
});
