/** What counts as reached, on this host's own loopback. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { unreached } from '../../../src/swarm-agent/transport/reach.ts';

test('an open port and a closed one are reached; what no way leads to is not', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const open = `127.0.0.1:${port}`;
  expect(await unreached([open])).toEqual([]);
  server.close();
  await once(server, 'close');
  // Nobody listens there any more: refused, so what was sent came through. To a group of hosts the kernel opens no connection at all.
  const found = await unreached([open, '224.0.0.1:2377']);
  expect(found.map(({ address }) => address)).toEqual(['224.0.0.1:2377']);
  expect(found[0]?.why).toBe('ENETUNREACH');
});
