/** How a connection ends: whoever is sent away while a call is under way hears how that ended, or that nobody knows. */
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';

import { BeltError } from '../../../src/errors.ts';
import { CallClient } from '../../../src/swarm-agent/api/client.ts';
import { refuse, serveCalls, type Handlers, type Served } from '../../../src/swarm-agent/api/server.ts';

/** A client and the agent's end of its connection; `later` are what the agent has set its clock for. */
function connected() {
  const [ours, theirs] = duplexPair();
  const begun = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<{ changed: boolean }>();
  const later: Array<() => void> = [];
  const handlers = {
    'nodes.label': () => {
      begun.resolve();
      return answer.promise;
    },
  } as unknown as Handlers;
  const clock = { now: () => 0, monotonic: () => 0, after: (ms: number, act: () => void) => (ms < 10_000 && later.push(act), () => undefined) };
  const served: Served = serveCalls(theirs as unknown as TLSSocket, { role: 'operator', name: 'anna' }, '01', 3_600_000, { clock, handlers, recheck: (caller) => caller, onBug: () => undefined });
  const client = new CallClient(ours as unknown as TLSSocket, 'mg0');
  const label = () => client.call('nodes.label', { node: 'mg0', set: { a: '1' } });
  return { served, client, label, begun: begun.promise, answer, later };
}

const WHY = new BeltError('certificate', 'the certificate of operator anna has run out');

test('sent away while a write is under way: its answer comes first, then the reason', async () => {
  const { served, client, label, begun, answer } = connected();
  const write = label();
  await begun;
  served.end(WHY);
  answer.resolve({ changed: true });
  expect(await write).toEqual({ changed: true });
  const closed = await new Promise<BeltError>((resolve) => client.onClose(resolve));
  expect(closed).toMatchObject({ code: 'certificate', message: WHY.message });
});

test('a write that outlasts the grace has an unknown outcome, for it may still happen', async () => {
  const { served, label, begun, later } = connected();
  const write = label();
  await begun;
  served.end(WHY);
  for (const act of later) act();
  await expect(write).rejects.toMatchObject({ code: 'outcome_unknown' });
});

test('a call that came after the reason was never begun', async () => {
  const { served, client, label } = connected();
  served.end(WHY);
  await expect(label()).rejects.toMatchObject({ code: 'certificate' });
  expect(client.open).toBe(false);
});

test('who is refused and keeps the connection open is cut off', async () => {
  const [ours, theirs] = duplexPair();
  ours.resume();
  refuse(theirs as unknown as TLSSocket, WHY, 1);
  await once(theirs, 'close');
});
