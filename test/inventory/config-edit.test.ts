import * as v from 'valibot';
import { describe, expect, it } from 'vitest';

import { editConfig } from '../../src/inventory/config-edit.ts';

describe('editConfig', () => {
  it.each([
    ['an empty file', '', ['image='], ''],
    ['a file of comments', '# mine\n', ['image='], '# mine\n'],
    ['a key that is not there', 'region: sgp1\n', ['image='], 'region: sgp1\n'],
    ['the last key', 'region: sgp1\n', ['region='], '{}\n'],
    ['a key and its comment beside', 'region: sgp1 # near\nimage: debian\n', ['image='], 'region: sgp1 # near\n'],
  ])('removes from %s', (_, content, assignments, after) => {
    expect(editConfig(content, assignments, [])).toBe(after);
  });

  it('sets in an empty file, and leaves the rest of a full one as it stands', () => {
    expect(editConfig('', ['region=sgp1'], [])).toBe('region: sgp1\n');
    expect(editConfig('# mine\nregion: a # near\n', ['region=b', 'image=debian'], [])).toBe('# mine\nregion: b # near\nimage: debian\n');
  });

  it('a block comes with its first key, also where something else stands', () => {
    const blocks = [{ name: 'local', schema: v.strictObject({ ssh_port: v.number() }), environment: {} }];
    expect(editConfig('', ['local.ssh_port=2223'], blocks)).toBe('local:\n  ssh_port: 2223\n');
    expect(editConfig('local: 7\n', ['local.ssh_port=2223'], blocks)).toBe('local:\n  ssh_port: 2223\n');
  });

  it('changes no file that is not what belt reads', () => {
    expect(() => editConfig('- a\n', ['region=b'], [])).toThrow('must be keys with values');
    expect(() => editConfig('region: [1,\n', ['region=b'], [])).toThrow(/Flow sequence/);
  });
});
