import fc from '../../property.ts';
import { describe, expect, test } from 'vitest';
import { COMMAND_LEVEL, COMMAND_LIMITS, command, decodeCommand, encodeCommand, type Change, type NewNode } from '../../../src/swarm-agent/store/commands.ts';
import type { SealedText } from '../../../src/swarm-agent/store/records.ts';
import { RequestTable } from '../../../src/swarm-agent/store/requests.ts';
import { decodeState, encodeState, freeze, stateHash } from '../../../src/swarm-agent/store/snapshot.ts';
import { ClusterState } from '../../../src/swarm-agent/store/state.ts';
import { Tables } from '../../../src/swarm-agent/store/tables.ts';

const DAY = 86_400_000;
const sealed = (text: string): SealedText => `1.key.${text}` as SealedText;

function newNode(id: string, name = id, extra: Partial<NewNode> = {}): NewNode {
  return {
    id, name, role: 'worker', address: `10.0.0.1:2378`, publicIpv4: null, privateIpv4: null, driver: 'local', datacenter: 'local:a', region: null, size: null,
    engine: 'none', dockerId: null, agentVersion: '0.1.0', certificate: { serial: `s-${id}`, fingerprint: 'f', notAfter: 30 * DAY }, ...extra,
  };
}

/** A state that takes changes one after another, each with a request of its own, at time = index. */
class Writer {
  readonly state: ClusterState;
  constructor(state = new ClusterState()) {
    this.state = state;
  }

  do(change: Change, options: { id?: string; at?: number; first?: number } = {}): ReturnType<ClusterState['apply']> {
    const index = this.state.index + 1;
    return this.state.apply(index, decodeCommand(encodeCommand(command(options.id ?? `r${index}`, options.at ?? index, change, options.first))));
  }

  /** What became of a change, in short. */
  says(change: Change): string {
    const result = this.do(change);
    return result.ok ? 'ok' : `${result.code}: ${result.message}`;
  }
}

function started(): Writer {
  const writer = new Writer();
  writer.do({ type: 'cluster.init', clusterId: 'c1', name: 'swarm2k' });
  return writer;
}

describe('nodes', () => {
  test('enter, keep labels and availability when they enter again, and are found by id and by name', () => {
    const writer = started();
    writer.do({ type: 'node.add', node: newNode('n1', 'node1') });
    writer.do({ type: 'node.label', node: 'n1', set: { b: '2', a: '1' }, remove: [] });
    writer.do({ type: 'node.availability', node: 'n1', availability: 'drain' });
    writer.do({ type: 'node.add', node: newNode('n1', 'node1b', { role: 'manager' }) });
    expect(writer.state.node('node1b')).toMatchObject({ id: 'n1', role: 'manager', availability: 'drain', labels: { a: '1', b: '2' }, joinedAt: 2, revision: 5 });
    expect(writer.state.node('node1')).toBeUndefined();
    expect(writer.state.node('n1')).toBe(writer.state.node('node1b'));
  });

  test('that leave have their certificates revoked, until those run out', () => {
    const writer = started();
    writer.do({ type: 'node.add', node: newNode('n1') });
    writer.do({ type: 'node.certificate', node: 'n1', certificate: { serial: 's-2', fingerprint: 'f', notAfter: 60 * DAY } });
    writer.do({ type: 'node.remove', node: 'n1' });
    expect(writer.state.revokedSerials(0)).toEqual(['s-2', 's-n1']);
    expect(writer.state.revokedSerials(31 * DAY)).toEqual(['s-2']);
    writer.do({ type: 'certificate.prune' }, { at: 61 * DAY });
    expect(writer.state.tables.certificates.size).toBe(0);
  });

  test('labels are set and removed together, whatever their names', () => {
    const writer = started();
    writer.do({ type: 'node.add', node: newNode('n1') });
    writer.do({ type: 'node.label', node: 'n1', set: JSON.parse('{"__proto__":"x","zone":"a","gone":"1"}') as Record<string, string>, remove: [] });
    writer.do({ type: 'node.label', node: 'n1', set: { zone: 'b' }, remove: ['gone', 'never there'] });
    expect(JSON.stringify(writer.state.node('n1')!.labels)).toBe('{"__proto__":"x","zone":"b"}');
  });
});

describe('refusals change nothing but the table of requests', () => {
  const long = 'x'.repeat(COMMAND_LIMITS.settingValue + 1);
  const cases: { name: string; change: Change; says: RegExp }[] = [
    { name: 'a second init', change: { type: 'cluster.init', clusterId: 'c2', name: 'other' }, says: /^refused: the cluster is already swarm2k/ },
    { name: 'a name twice', change: { type: 'node.add', node: newNode('n2', 'n1') }, says: /^refused: the name n1 belongs to node n1/ },
    { name: 'a node that is not there', change: { type: 'node.role', node: 'n9', role: 'manager' }, says: /^unknown_machine/ },
    { name: 'a record changed since', change: { type: 'node.role', node: 'n1', role: 'manager', ifRevision: 1 }, says: /^refused: node n1 has changed since: it is at revision 2, not 1/ },
    { name: 'a setting that should be new', change: { type: 'setting.set', key: 'k', value: '2', ifRevision: 0 }, says: /^refused: setting k has changed/ },
    { name: 'a setting too long', change: { type: 'setting.set', key: 'k', value: long }, says: /^bad_request/ },
    { name: 'an operation begun twice', change: { type: 'operation.intend', operation: 'o1', kind: 'promote', subject: 'n1', detail: '' }, says: /^refused: operation o1 is already/ },
    { name: 'an operation never begun', change: { type: 'operation.end', operation: 'o9', state: 'done', detail: '' }, says: /^refused: operation o9 is not/ },
    { name: 'a change of no known name', change: { type: 'node.explode' } as unknown as Change, says: /^bad_request: there is no change called node.explode/ },
    {
      name: 'a group whose last part fails',
      change: { type: 'all', changes: [{ type: 'node.remove', node: 'n1' }, { type: 'setting.remove', key: 'k' }, { type: 'token.rotate', role: 'worker', secret: sealed('t') }, { type: 'node.remove', node: 'n9' }] },
      says: /^unknown_machine/,
    },
    { name: 'a group in a group', change: { type: 'all', changes: [{ type: 'all', changes: [] }] }, says: /^bad_request/ },
  ];
  test.each(cases)('$name', ({ change, says }) => {
    const writer = started();
    writer.do({ type: 'node.add', node: newNode('n1') });
    writer.do({ type: 'setting.set', key: 'k', value: '1' });
    writer.do({ type: 'operation.intend', operation: 'o1', kind: 'promote', subject: 'n1', detail: '' });
    const before = linesOf(writer.state);
    expect(writer.says(change)).toMatch(says);
    expect(linesOf(writer.state)).toEqual(before);
  });

  /** The records of the state without its head and its requests. */
  function linesOf(state: ClusterState): string[] {
    return encodeState(state).toString().split('\n').filter((line) => !line.startsWith('["state"') && !line.startsWith('["request"'));
  }
});

describe('two releases side by side', () => {
  test('a command above the cluster’s level is refused by those who know it as by those who do not', () => {
    const writer = started();
    const newer = { ...command('r9', 9, { type: 'node.teleport' } as unknown as Change), level: 2 };
    expect(writer.state.apply(9, newer)).toMatchObject({ ok: false, code: 'bad_request' });
    const known = { ...command('r10', 9, { type: 'setting.set', key: 'k', value: '1' }), level: 2 };
    expect(writer.state.apply(10, known)).toMatchObject({ ok: false, code: 'bad_request' });
  });

  test('a member stops when the cluster moves to a level it does not know, rather than guess', () => {
    const writer = started();
    expect(() => writer.do({ type: 'cluster.level', level: COMMAND_LEVEL + 1 })).toThrow(expect.objectContaining({ code: 'state_newer', next: expect.stringContaining('upgrade') }));
  });

  test('snapshots of a newer release are refused', () => {
    expect(() => decodeState(Buffer.from('["state",{"format":2,"index":1,"at":1,"horizon":0}]\n'))).toThrow(expect.objectContaining({ code: 'state_newer' }));
    expect(() => decodeState(Buffer.from('["teleporter",{}]\n'))).toThrow(expect.objectContaining({ code: 'state_newer' }));
    expect(() => decodeState(Buffer.from('["cluster"'))).toThrow(expect.objectContaining({ code: 'log_corrupt' }));
  });
});

describe('repeats', () => {
  test('return the first result, success or refusal, and change nothing', () => {
    const writer = started();
    const first = writer.do({ type: 'token.rotate', role: 'worker', secret: sealed('a') }, { id: 'same' });
    const refused = writer.do({ type: 'node.remove', node: 'n9' }, { id: 'refused' });
    expect(writer.do({ type: 'token.rotate', role: 'worker', secret: sealed('b') }, { id: 'same' })).toEqual(first);
    writer.do({ type: 'node.add', node: newNode('n9') });
    expect(writer.do({ type: 'node.remove', node: 'n9' }, { id: 'refused' })).toEqual(refused);
    expect(writer.state.tables.tokens.get('worker')).toMatchObject({ version: 1, secret: sealed('a') });
  });

  test('older than what is remembered are refused: they may have been done', () => {
    const writer = new Writer(new ClusterState(new Tables(), new RequestTable(10)));
    writer.do({ type: 'token.rotate', role: 'worker', secret: sealed('a') }, { id: 'old', at: 100_000 });
    for (let i = 0; i < 10; i++) writer.do({ type: 'setting.set', key: 'k', value: `${i}` }, { at: 200_000 });
    const repeat = (first: number) => writer.do({ type: 'token.rotate', role: 'worker', secret: sealed('b') }, { id: 'old', at: 300_000, first });
    expect(repeat(99_000)).toMatchObject({ ok: false, code: 'outcome_unknown' });
    expect(writer.state.tables.tokens.get('worker')!.version).toBe(1);
    expect(writer.do({ type: 'setting.set', key: 'k', value: 'new' }, { id: 'new', at: 300_000, first: 299_000 })).toMatchObject({ ok: true });
    expect(writer.state.requests.size).toBe(10);
  });
});

test('the journal keeps what is under way and a bounded number of what has ended', () => {
  const writer = started();
  writer.do({ type: 'operation.intend', operation: 'open', kind: 'promote', subject: 'n1', detail: '' });
  for (let i = 0; i < 1_100; i++) {
    writer.do({ type: 'operation.intend', operation: `o${i}`, kind: 'drain', subject: 'n1', detail: '' });
    writer.do({ type: 'operation.end', operation: `o${i}`, state: 'done', detail: '' });
  }
  const { operations } = writer.state.tables;
  expect([operations.size, operations.has('open'), operations.has('o99'), operations.has('o100')]).toEqual([1_001, true, false, true]);
});

const id = fc.constantFrom('n1', 'n2', 'n3');
const anyChange: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ type: fc.constant('node.add' as const), node: fc.tuple(id, id).map(([one, name]) => newNode(one, name)) }),
  fc.record({ type: fc.constant('node.label' as const), node: id, set: fc.dictionary(fc.constantFrom('a', 'b', '1'), fc.string({ maxLength: 3 })), remove: fc.array(fc.constantFrom('a', 'b')) }),
  fc.record({ type: fc.constant('node.remove' as const), node: id }),
  fc.record({ type: fc.constant('token.rotate' as const), role: fc.constantFrom('manager' as const, 'worker' as const), secret: fc.string().map(sealed) }),
  fc.record({ type: fc.constant('certificate.revoke' as const), serial: fc.constantFrom('s-n1', 'zz'), notAfter: fc.nat() }),
  fc.record({ type: fc.constant('authority.set' as const), authority: fc.constant({ generation: 1, phase: 'steady' as const, roots: ['pem'], key: sealed('k') }) }),
  fc.record({ type: fc.constant('swarm.set' as const), swarm: fc.constant({ swarmId: 's', workerToken: sealed('w'), managerToken: sealed('m'), unlockKey: null }) }),
  fc.record({ type: fc.constant('operation.intend' as const), operation: id, kind: fc.constant('k'), subject: id, detail: fc.string() }),
  fc.record({ type: fc.constant('operation.end' as const), operation: id, state: fc.constantFrom('done' as const, 'failed' as const), detail: fc.string() }),
  fc.record({ type: fc.constant('setting.set' as const), key: id, value: fc.string() }),
);
const step = fc.record({ id: fc.nat(30).map(String), change: fc.oneof(anyChange, fc.array(anyChange, { maxLength: 4 }).map((changes): Change => ({ type: 'all', changes }))) });

test('members that begin with a snapshot anywhere end as those that saw everything', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), (steps, cut) => {
      const whole = started();
      let late: Writer | null = null;
      steps.forEach(({ id: request, change }, i) => {
        if (i === cut) late = new Writer(decodeState(encodeState(whole.state)));
        whole.do(change, { id: request });
        late?.do(change, { id: request });
      });
      late ??= new Writer(decodeState(encodeState(whole.state)));
      expect(late.state.index).toBe(whole.state.index);
      expect(encodeState(late.state).toString()).toBe(encodeState(whole.state).toString());
      expect(stateHash(late.state)).toBe(stateHash(whole.state));
      expect(late.state.tables.nodeIds).toEqual(whole.state.tables.nodeIds);
    }),
    { numRuns: 200 },
  );
});

test('a snapshot holds the state as it was when it was taken, however late it is encoded', () => {
  const writer = started();
  writer.do({ type: 'node.add', node: newNode('n1') });
  const before = encodeState(writer.state);
  const later = freeze(writer.state);
  writer.do({ type: 'node.remove', node: 'n1' });
  writer.do({ type: 'setting.set', key: 'k', value: 'v' });
  expect(Buffer.concat([...later()]).equals(before)).toBe(true);
});

test('a command larger than allowed is refused before it is proposed', () => {
  expect(() => encodeCommand(command('r', 1, { type: 'setting.set', key: 'k', value: 'x'.repeat(COMMAND_LIMITS.bytes) }))).toThrow(expect.objectContaining({ code: 'bad_request' }));
});
