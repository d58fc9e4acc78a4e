import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { connectSsh } from '../../src/ssh/client.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';
import { clientSuite, errorOf } from './client.suite.ts';
import { SSHD_MISSING, startSshd } from './sshd.ts';

clientSuite(
  'OpenSSH',
  async (authorizedKey) => {
    const sshd = await startSshd({ authorizedKeys: [authorizedKey] });
    return { ...sshd, hostKey: sshd.hostKeys['ed25519'] as string };
  },
  SSHD_MISSING,
  process.getuid?.() === 0 ? false : 'an OpenSSH server that is not root hands out no terminal',
);

describe.skipIf(SSHD_MISSING !== false)(`host keys of OpenSSH${SSHD_MISSING === false ? '' : ` (skipped: ${SSHD_MISSING})`}`, () => {
  test.each(['ed25519', 'ecdsa', 'rsa'] as const)('a pinned %s key is asked for, though the server has others', async (type) => {
    const pair = generateSshKeyPair('test');
    await using sshd = await startSshd({ authorizedKeys: [pair.publicKey], hostKeyTypes: ['ed25519', 'ecdsa', 'rsa'] });
    const pinned = sshd.hostKeys[type] as string;
    await using connection = await connectSsh({ ...sshd, privateKey: pair.privateKey, hostKey: { pinned: [pinned] } });
    expect(connection.hostKey.openssh).toBe(pinned);
    expect(await connection.exec('echo yes')).toMatchObject({ stdout: 'yes\n' });
  });
});

describe('a machine that is not there', () => {
  const options = { user: 'root', privateKey: generateSshKeyPair('test').privateKey, hostKey: 'first-sight' } as const;

  test('refused', async () => {
    const { port, close } = await listen(() => {});
    await close();
    expect(await errorOf(connectSsh({ ...options, host: '127.0.0.1', port, machine: 'node1' }))).toMatchObject({
      code: 'unreachable',
      retryable: true,
      message: `cannot reach node1 (127.0.0.1:${port}) over SSH: connection refused`,
    });
  });

  test('accepts and says nothing', async () => {
    const { port, close } = await listen(() => {});
    expect((await errorOf(connectSsh({ ...options, host: '127.0.0.1', port, timeoutMs: 150 }))).message).toMatch(/timed out$/);
    await close();
  });

  test('hangs up at once, as a server with too many connections does', async () => {
    const { port, close } = await listen((socket) => socket.end());
    expect(await errorOf(connectSsh({ ...options, host: '127.0.0.1', port }))).toMatchObject({ code: 'unreachable', retryable: true });
    await close();
  });

  test('speaks something else', async () => {
    const { port, close } = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect((await errorOf(connectSsh({ ...options, host: '127.0.0.1', port }))).code).toBe('unreachable');
    await close();
  });

  test('interrupted meanwhile', async () => {
    const { port, close } = await listen(() => {});
    const stop = new AbortController();
    const connecting = errorOf(connectSsh({ ...options, host: '127.0.0.1', port, signal: stop.signal }));
    stop.abort();
    expect((await connecting).code).toBe('interrupted');
    await close();
  });

  test.each(['', 'no key', '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n'])('a key file that is none: %j', async (privateKey) => {
    expect((await errorOf(connectSsh({ ...options, privateKey, host: '127.0.0.1', port: 9 }))).code).toBe('config');
  });
});

async function listen(serve: (socket: Socket) => void): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { port: typeof address === 'object' && address !== null ? address.port : 0, close };
}
