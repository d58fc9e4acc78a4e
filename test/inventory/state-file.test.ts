import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { isBeltError } from '../../src/errors.ts';
import { decodeState, encodeState, migrate, STATE_VERSION } from '../../src/inventory/state-file.ts';
import { type ClusterState, emptyState } from '../../src/inventory/state.ts';

const ID = '0123456789abcdef0123456789abcdef';

function sample(): ClusterState {
  const state = emptyState('default', ID, '2026-01-01T00:00:00.000Z');
  state.machines['node1'] = {
    name: 'node1', driver: 'local', id: 'l-1', status: 'active', publicIpv4: '127.1.1.1', privateIpv4: null, sshPort: 2222, sshUser: 'root', memoryMb: 512, region: 'a',
    datacenter: 'local:a', image: null, size: '512mb', createdAt: null, tags: { belt: 'yes' },
  };
  state.orders['00ff'] = { id: '00ff', driver: 'local', type: '512mb', memoryMb: 512, image: null, spot: false, machines: [{ name: 'node2', region: 'a', zone: null }], askedAt: '2026-01-01T00:00:00.000Z' };
  return state;
}

function failure(content: string): [string, string] {
  try {
    decodeState(content, 'state.json');
  } catch (error) {
    if (isBeltError(error)) return [error.code, error.message];
    throw error;
  }
  return ['none', ''];
}

describe('state.json', () => {
  it('comes back as it was written', () => {
    expect(decodeState(encodeState(sample()), 'state.json')).toEqual(sample());
  });

  it.each<[string, (text: string) => string, string, string]>([
    ['empty', () => '', 'state_damaged', 'it is empty'],
    ['half written', (text) => text.slice(0, text.length / 2), 'state_damaged', 'it ends too early or is no JSON'],
    ['another JSON', () => '{"a":1}', 'state_damaged', 'it has no header of belt'],
    ['changed by hand', (text) => text.replace('127.1.1.1', '127.1.1.2'), 'state_damaged', 'its checksum does not match'],
    ['newer', (text) => text.replace(`"version":${STATE_VERSION}`, `"version":${STATE_VERSION + 1}`), 'state_newer', 'was written by a newer belt'],
  ])('that is %s is refused', (_what, spoil, code, message) => {
    const [thrown, text] = failure(spoil(encodeState(sample())));
    expect(thrown).toBe(code);
    expect(text).toContain(message);
  });

  it('no change of one character passes for the state', () => {
    const text = encodeState(sample());
    const passed: string[] = [];
    for (let at = 0; at < text.length - 1; at += 1) {
      // Digits stand for each other where a slip would make sense; of the rest one is as good as another.
      for (const other of '0123456789x"') {
        const changed = text.slice(0, at) + other + text.slice(at + 1);
        if (changed !== text && !['state_damaged', 'state_newer'].includes(failure(changed)[0])) passed.push(`${at}: ${other}`);
      }
    }
    expect(passed).toEqual([]);
  });

  it.each([1, 2, 3])('as version %i wrote it is read', (version) => {
    const { removals: _removals, ...first } = sample();
    const body = JSON.stringify(version === 1 ? first : sample());
    const checksum = createHash('sha256').update(version === 3 ? `3:${body}` : body).digest('hex');
    expect(decodeState(`{"format":"belt-state","version":${version},"checksum":"${checksum}","body":${body}}\n`, 'state.json')).toEqual(sample());
  });

  it('is brought up from every earlier version', () => {
    const { removals: _removals, ...first } = sample();
    expect(migrate(first, 1)).toEqual(sample());
    for (let version = 1; version <= STATE_VERSION; version += 1) expect(() => migrate({}, version)).not.toThrow();
  });
});
