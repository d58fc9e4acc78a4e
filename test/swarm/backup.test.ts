/** The file of a backup, and what a restore decides before it touches anything. */
import { describe, expect, it } from 'vitest';

import type { Machine } from '../../src/provision/driver.ts';
import { decodeBackup, encodeBackup } from '../../src/swarm/backup-file.ts';
import { planRestore } from '../../src/swarm/restore.ts';
import type { Answer, Health, RaftView } from '../../src/swarm/survey.ts';
import type { Backup, BackupNode } from '../../src/swarm-agent/api/backup.ts';
import { leaveBehind } from '../../src/swarm-agent/engine/swarm-record.ts';
import { restoreChanges } from '../../src/swarm-agent/store/backup.ts';
import { isBeltError } from '../../src/errors.ts';

const CLUSTER = 'c'.repeat(32);
const id = (digit: number): string => String(digit).repeat(32);
const node = (name: string, role: 'manager' | 'worker', digit: number): BackupNode => ({
  id: id(digit), name, role, availability: 'active', address: `127.0.0.1:${digit}`, publicIpv4: null, privateIpv4: null, driver: null, datacenter: null, region: null, size: null,
  labels: {}, engine: 'none', dockerId: null, agentVersion: '1', certificate: null,
});
const BACKUP: Backup = {
  clusterId: CLUSTER, clusterName: 'prod', epoch: 2, index: 9, takenAt: '2026-01-01T00:00:00.000Z', root: 'PEM', generation: 1, certificates: [],
  nodes: [node('mg0', 'manager', 1), node('node1', 'worker', 2), node('node2', 'worker', 3)],
};

function failure(act: () => unknown): [string, string] {
  try {
    act();
  } catch (error) {
    if (isBeltError(error)) return [error.code, error.message];
    throw error;
  }
  return ['none', ''];
}

describe('the file', () => {
  it('comes back as it was written', () => expect(decodeBackup(encodeBackup(BACKUP), 'b.json')).toEqual(BACKUP));

  it.each<[string, (text: string) => string, string, string]>([
    ['empty', () => '', 'state_damaged', 'it is empty'],
    ['half written', (text) => text.slice(0, 90), 'state_damaged', 'it ends too early or is no JSON'],
    ['something else', () => '{"format":"belt-state"}', 'state_damaged', 'it has no header of belt'],
    ['changed', (text) => text.replace('node2', 'node3'), 'state_damaged', 'its checksum does not match'],
    ['newer', (text) => text.replace('"version":1', '"version":2'), 'state_newer', 'was written by a newer belt'],
  ])('that is %s is refused', (_what, spoil, code, message) => {
    const [thrown, text] = failure(() => decodeBackup(spoil(encodeBackup(BACKUP)), 'b.json'));
    expect([thrown, text.includes(message)]).toEqual([code, true]);
  });
});

describe('what a restore writes', () => {
  it('brings the workers back, and has their engines leave the swarm that died with its managers', () => {
    const nodes = BACKUP.nodes.map((known): BackupNode => ({ ...known, engine: 'docker', dockerId: `docker-${known.name}` }));
    const changes = restoreChanges({ ...BACKUP, nodes }, { id: id(7), name: 'mg5' });
    const added = changes.flatMap((change) => (change.type === 'node.add' ? [[change.node.name, change.node.dockerId]] : []));
    expect(added).toEqual([['node1', null], ['node2', null]]);
    expect(changes.filter(({ type }) => type === 'setting.set')).toEqual(['docker-node1', 'docker-node2'].map(leaveBehind));
  });
});

describe('the plan of a restore', () => {
  const machine = (name: string): Machine => ({ name }) as Machine;
  const answer = (name: string, role: Health['role'], raft: Partial<RaftView> | null = null): Answer => ({ machine: name, health: { machine: name, role, raft, epoch: 0 } as Health });
  const survey = { voters: [], reachable: [], leader: null, epoch: 0, wrong: [] };
  const question = { backup: BACKUP, clusterId: CLUSTER, managers: [machine('mg5'), machine('mg6')] as [Machine, Machine], answers: [answer('mg5', 'machine'), answer('mg6', 'machine')], survey };

  it('has the workers that answer come, and names those that do not', () => {
    const plan = planRestore({ ...question, answers: [...question.answers, answer('node1', 'worker'), answer('late', 'worker'), { machine: 'node2', health: null }] });
    expect(plan).toMatchObject({ target: { name: 'mg5' }, others: [{ name: 'mg6' }], workers: [{ name: 'node1' }, { name: 'late' }], silent: ['node2'] });
    expect(plan.epoch).toBeGreaterThan(BACKUP.epoch);
  });

  it('goes on at the epoch of a run that died', () => {
    expect(planRestore({ ...question, answers: [answer('mg5', 'manager', { epoch: 1002 }), answer('mg6', 'manager', { epoch: 1002 })] }).epoch).toBe(1002);
  });

  it('refuses, with every reason at once', () => {
    const [code, message] = failure(() => planRestore({
      ...question, clusterId: id(9), answers: [answer('mg5', 'machine'), answer('mg6', 'worker'), answer('mg1', 'manager', { epoch: 2 })],
    }));
    expect([code, message.split('\n').length]).toEqual(['refused', 3]);
    expect(message).toContain('mg1 still manages the swarm and knows more than a backup: belt swarm rebuild goes on from there');
    expect(message).toContain('mg6 is a worker of the swarm');
    expect(message).toContain('the backup is of cluster prod');
  });
});
