import { expect, it } from 'vitest';

import { wayOn } from '../../src/provision/way-on.ts';

it.each([
  [['mg0'], 'belt start mg0'],
  [['mg0', 'mg1', 'mg2'], "belt start 'mg[0:2]'"],
  [['host1'], 'switch host1 on by hand'],
  [['mg0', 'mg1', 'host1', 'host2'], "belt start 'mg[0:1]', switch host[1:2] on by hand"],
])('%j: %s', (names, text) => {
  expect(wayOn(names, (name) => (name.startsWith('host') ? 'generic' : undefined))).toBe(text);
});
