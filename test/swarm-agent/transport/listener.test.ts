import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import type { BeltError } from '../../../src/errors.ts';
import { dial } from '../../../src/swarm-agent/transport/dial.ts';
import { ALPN, listen, type Listener } from '../../../src/swarm-agent/transport/listener.ts';
import { testPki } from './pki.ts';

const HOST = '127.0.0.1';
const pki = testPki();
const stranger = testPki('d'.repeat(32));
const server = pki.issue('manager', 'm1');
const open: Listener[] = [];
afterEach(() => Promise.all(open.splice(0).map((listener) => listener.close())));

/** A listener that says on each connection who it took it for, and notes whom it turned away. */
async function greeter(revoked?: ReadonlySet<string>): Promise<{ port: number; refusals: BeltError[]; listener: Listener }> {
  const refusals: BeltError[] = [];
  const listener = await listen({
    host: HOST, port: 0, credentials: server, identify: pki.identify(revoked), handshakeTimeoutMs: 60_000,
    handlers: {
      raft: (socket, peer) => socket.end(`raft ${peer.role} ${peer.name}`),
      call: (socket, peer) => socket.end(`call ${peer.role} ${peer.name}`),
      join: (socket) => socket.end('join'),
      refused: (_address, error) => refusals.push(error),
    },
  });
  open.push(listener);
  return { port: listener.port, refusals, listener };
}

/** What the listener says to a client, `''` when it hangs up without a word. */
async function hear(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ host: HOST, port, checkServerIdentity: () => undefined, ca: [...server.ca], ...options });
  let said = '';
  socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
  socket.on('error', () => undefined);
  socket.on('end', () => socket.destroy());
  await once(socket, 'close').catch(() => undefined);
  return said;
}

describe('the port', () => {
  const past = { nowMs: Date.now() - 120_000, lifetimeMs: 60_000 };
  const cases = [
    { who: 'a manager', protocol: 'raft', client: pki.issue('manager', 'm2'), hears: 'raft manager m2' },
    { who: 'a manager', protocol: 'call', client: pki.issue('manager', 'm2'), hears: 'call manager m2' },
    { who: 'an operator', protocol: 'call', client: pki.issue('operator', 'ann'), hears: 'call operator ann' },
    { who: 'a worker', protocol: 'raft', client: pki.issue('worker', 'w1'), hears: '' },
    { who: 'an operator', protocol: 'raft', client: pki.issue('operator', 'ann'), hears: '' },
    { who: 'nobody', protocol: 'raft', client: null, hears: '' },
    { who: 'nobody', protocol: 'call', client: null, hears: '' },
    { who: 'nobody', protocol: 'join', client: null, hears: 'join' },
    { who: 'a stranger', protocol: 'call', client: stranger.issue('manager', 'm2'), hears: '' },
    { who: 'an expired manager', protocol: 'raft', client: pki.issue('manager', 'm2', past), hears: '' },
  ] as const;
  test.each(cases)('$who with $protocol hears "$hears"', async ({ protocol, client, hears }) => {
    const { port, refusals } = await greeter();
    const credentials = client === null ? {} : { key: client.key, cert: client.cert };
    expect(await hear(port, { ...credentials, ALPNProtocols: [ALPN[protocol]] })).toBe(hears);
    expect(refusals.length).toBe(hears === '' ? 1 : 0);
  });

  test('speaks nothing older than TLS 1.3 and no protocol but belt’s', async () => {
    const { port } = await greeter();
    const { key, cert } = pki.issue('manager', 'm2');
    expect(await hear(port, { key, cert, ALPNProtocols: [ALPN.call], maxVersion: 'TLSv1.2' })).toBe('');
    expect(await hear(port, { key, cert, ALPNProtocols: ['http/1.1'] })).toBe('');
    expect(await hear(port, { key, cert })).toBe('');
  });

  test('turns a revoked certificate away', async () => {
    const revoked = pki.issue('manager', 'm2');
    const { port, refusals } = await greeter(new Set([revoked.serial]));
    expect(await hear(port, { key: revoked.key, cert: revoked.cert, ALPNProtocols: [ALPN.raft] })).toBe('');
    expect(refusals[0]!.message).toContain('revoked');
  });

  test('shows a new certificate from the next connection on', async () => {
    const { port, listener } = await greeter();
    listener.setCredentials(pki.issue('manager', 'm1-renewed'));
    const { peer, socket } = await dial({ address: `${HOST}:${port}`, protocol: 'call', credentials: pki.issue('operator', 'ann'), identify: pki.identify(), expect: null });
    socket.destroy();
    expect(peer.name).toBe('m1-renewed');
  });
});

test('closing waits for nobody, not even for a client that never shakes hands', async () => {
  const { port, listener } = await greeter();
  const silent = connectPlain(port, HOST);
  await once(silent, 'connect');
  const { socket } = await dial({ address: `${HOST}:${port}`, protocol: 'call', credentials: pki.issue('operator', 'ann'), identify: pki.identify(), expect: null });
  const gone = [once(silent, 'close'), once(socket.resume(), 'close')];
  await listener.close();
  await Promise.all(gone);
});

describe('dialing', () => {
  const client = pki.issue('manager', 'm2');
  test.each([
    { name: 'the manager that is meant', expect: 'm1', identify: pki.identify(), code: null },
    { name: 'another manager than the one meant', expect: 'm3', identify: pki.identify(), code: 'certificate' },
    { name: 'a manager of another cluster', expect: 'm1', identify: stranger.identify(), code: 'certificate' },
  ])('reaches $name: $code', async ({ expect: expected, identify, code }) => {
    const { port } = await greeter();
    const dialed = await dial({ address: `${HOST}:${port}`, protocol: 'raft', credentials: client, identify, expect: expected }).catch((error: BeltError) => error);
    if ('socket' in dialed) dialed.socket.destroy();
    expect('code' in dialed ? dialed.code : null).toBe(code);
  });

  test('a server without the manager role is not believed', async () => {
    const listener = await listen({
      host: HOST, port: 0, credentials: pki.issue('worker', 'm1'), identify: pki.identify(),
      handlers: { raft: (socket) => socket.destroy(), call: (socket) => socket.destroy(), join: (socket) => socket.destroy() },
    });
    open.push(listener);
    await expect(dial({ address: `${HOST}:${listener.port}`, protocol: 'raft', credentials: client, identify: pki.identify(), expect: 'm1' })).rejects.toMatchObject({ code: 'certificate' });
  });

  test('a closed port is unreachable', async () => {
    const { port, listener } = await greeter();
    await listener.close();
    await expect(dial({ address: `${HOST}:${port}`, protocol: 'raft', credentials: client, identify: pki.identify(), expect: 'm1' })).rejects.toMatchObject({ code: 'unreachable' });
  });
});
