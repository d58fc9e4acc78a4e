import { duplexPair, type Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { BeltError } from '../../../src/errors.ts';
import type { Append, Heartbeat, Message } from '../../../src/swarm-agent/raft/types.ts';
import { PeerLinks, type Peer } from '../../../src/swarm-agent/transport/peer-links.ts';

function heartbeat(from: string, to: string, round: number): Heartbeat {
  return { type: 'heartbeat', from, to, term: 1, commit: 0, round, sentAt: 0, electionMs: 150 };
}

function append(from: string, to: string, bytes: number, index: number): Append {
  return { type: 'append', from, to, term: 1, prevIndex: index, prevTerm: 1, commit: 0, entries: [{ index: index + 1, term: 1, kind: 'command', data: Buffer.alloc(bytes) }] };
}

/** Two managers with in-memory connections between them. */
function pair(groups: { a: string; b: string } = { a: 'g/0', b: 'g/0' }): {
  a: PeerLinks; b: PeerLinks; received: Message[]; until: (done: () => boolean) => Promise<void>; links: (BeltError | null)[]; sockets: Duplex[]; others: string[];
} {
  const received: Message[] = [];
  const links: (BeltError | null)[] = [];
  const sockets: Duplex[] = [];
  let wake: () => void = () => undefined;
  const others: string[] = [];
  const b = new PeerLinks({ self: 'b', group: groups.b, dial: () => Promise.reject(new Error('not in this test')), random: () => 0, onOtherGroup: (group) => others.push(`b of ${group}`), onMessages: (messages) => {
    received.push(...messages);
    wake();
  } });
  const dialB = (): Promise<Duplex> => {
    const [near, far] = duplexPair();
    sockets.push(near, far);
    b.accept(far, 'a');
    return Promise.resolve(near);
  };
  const a = new PeerLinks({ self: 'a', group: groups.a, dial: dialB, random: () => 0, onOtherGroup: (group) => others.push(`a of ${group}`), onMessages: () => undefined, queueBytesMax: 1_000_000, onLink: (_peer: Peer, error) => {
    links.push(error);
    wake();
  } });
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { a, b, received, until, links, sockets, others };
}

describe('connections between managers', () => {
  test('carry messages in order, named after the certificate they came with', async () => {
    const { a, b, received, until, links } = pair();
    a.setPeers([{ id: 'a', address: 'self' }, { id: 'b', address: 'x:1' }]);
    await until(() => links.length === 1);
    a.send([heartbeat('liar', 'b', 1), heartbeat('a', 'nobody', 9)]);
    a.send([heartbeat('a', 'b', 2), append('a', 'b', 10, 5)]);
    await until(() => received.length === 3);
    expect(received.map((message) => [message.from, message.type])).toEqual([['a', 'heartbeat'], ['a', 'heartbeat'], ['a', 'append']]);
    a.close();
    b.close();
  });

  test('end, each told why, when the managers went on without this one; and nobody is let in again', async () => {
    const { a, b, received, until, links, others } = pair();
    a.setPeers([{ id: 'b', address: 'x:1' }]);
    await until(() => links.length === 1);
    b.outlived('g/1');
    b.close();
    await until(() => links.filter((error) => error?.message === 'b refuses the connection: the managers went on as group g/1').length === 2);
    expect(new Set(others)).toEqual(new Set(['a of g/1']));
    a.send([heartbeat('a', 'b', 1)]);
    expect(received).toEqual([]);
    a.close();
  });

  test('of another group are refused, and the dialer learns why', async () => {
    const { a, b, until, links, others } = pair({ a: 'g/0', b: 'g/1' });
    a.setPeers([{ id: 'b', address: 'x:1' }]);
    await until(() => links.some((error) => error !== null));
    expect(links.find((error) => error !== null)!.message).toBe('b refuses the connection: this manager is of group g/1, not g/0');
    expect(others.slice(0, 2)).toEqual(['b of g/0', 'a of g/1']);
    a.close();
    b.close();
  });

  test('that break are made again', async () => {
    const { a, b, received, until, links, sockets } = pair();
    a.setPeers([{ id: 'b', address: 'x:1' }]);
    await until(() => links.length === 1);
    sockets[0]!.destroy();
    await until(() => links.length === 3);
    expect(links.map((error) => error?.code ?? 'open')).toEqual(['open', 'unreachable', 'open']);
    a.send([heartbeat('a', 'b', 7)]);
    await until(() => received.length === 1);
    a.close();
    b.close();
  });

  test('that live are kept, and one whose other end has fallen silent is dialed anew', async () => {
    const links: (BeltError | null)[] = [];
    let wake = (): void => undefined;
    const b = new PeerLinks({ self: 'b', group: 'g/0', dial: () => Promise.reject(new Error('not in this test')), random: () => 0, onMessages: () => undefined });
    let questions = 0;
    let isSilent = false;
    const a = new PeerLinks({
      self: 'a', group: 'g/0', random: () => 0, onMessages: () => undefined, pingMs: 2,
      onLink: (_peer: Peer, error) => {
        links.push(error);
        wake();
      },
      dial: () => {
        const [near, far] = duplexPair();
        far.on('data', () => {
          questions++;
          wake();
        });
        if (!isSilent) b.accept(far, 'a');
        return Promise.resolve(near);
      },
    });
    a.setPeers([{ id: 'b', address: 'x:1' }]);
    while (questions < 20) await new Promise<void>((resolve) => (wake = resolve));
    expect(links).toEqual([null]);
    b.close();
    isSilent = true;
    while (!links.some((error) => error?.message.includes('does not answer'))) await new Promise<void>((resolve) => (wake = resolve));
    a.close();
  });

  test('that do not drain hold a bounded queue, and a heartbeat overtakes it', async () => {
    const [near, far] = duplexPair();
    far.pause();
    let opened = (): void => undefined;
    const isOpen = new Promise<void>((resolve) => (opened = resolve));
    const a = new PeerLinks({ self: 'a', group: 'g/0', dial: () => Promise.resolve(near), random: () => 0, onMessages: () => undefined, queueBytesMax: 1_000_000, onLink: () => opened() });
    a.setPeers([{ id: 'b', address: 'x:1' }]);
    await isOpen;
    for (let i = 0; i < 100; i++) a.send([append('a', 'b', 100_000, i)]);
    a.send([heartbeat('a', 'b', 1)]);
    expect(near.writableLength).toBeLessThan(500_000);

    const received: Message[] = [];
    let done = (): void => undefined;
    const isDone = new Promise<void>((resolve) => (done = resolve));
    const b = new PeerLinks({ self: 'b', group: 'g/0', dial: () => Promise.reject(new Error('not in this test')), random: () => 0, onMessages: (messages) => {
      received.push(...messages);
      if (received.some((message) => message.type === 'append' && message.prevIndex === 99)) done();
    } });
    b.accept(far, 'a');
    far.resume();
    await isDone;
    const appends = received.filter((message) => message.type === 'append').map(({ prevIndex }) => prevIndex);
    expect(appends.length).toBeLessThan(20);
    expect(appends).toEqual([...appends].sort((x, y) => x - y));
    expect(received.findIndex(({ type }) => type === 'heartbeat')).toBeLessThan(received.length / 2);
    a.close();
    b.close();
  });

  test.each([
    { name: 'no hello', frame: '0000000201ff', reason: 'does not begin with a hello' },
    { name: 'a frame of a newer format', frame: '0000000209ff', reason: 'format 9' },
  ])('that begin with $name are cut', async ({ frame, reason }) => {
    const { b } = pair();
    const [near, far] = duplexPair();
    b.accept(far, 'a');
    near.write(Buffer.from(frame, 'hex'));
    const [answer] = await near.take(1).toArray() as [Buffer];
    expect(answer.toString()).toContain(reason);
    near.destroy();
    b.close();
  });
});
