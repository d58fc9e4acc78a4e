import { spawnSync } from 'node:child_process';
import { type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { BeltError } from '../../../src/errors.ts';
import { type EngineProxy, openEngineProxy } from '../../../src/swarm-agent/engine/proxy.ts';
import type { PeerIdentity, PeerRole } from '../../../src/swarm-agent/transport/identity.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'belt-proxy-'));
const file = (name: string): string => path.join(folder, name);
const pem = (name: string): string => readFileSync(file(name), 'utf8');

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

function authority(name: string): void {
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name}`, '-days', '1');
}

function certificate(name: string, role: string, ca: string): void {
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  writeFileSync(file(`${name}.ext`), `subjectAltName=URI:belt://c1/${role}/${name},IP:127.0.0.1\n`);
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${ca}.crt`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-out', `${name}.crt`, '-days', '1', '-extfile', `${name}.ext`);
}

const revoked = new Set<string>();
function identify(cert: X509Certificate): PeerIdentity {
  const [, cluster, role, name] = /URI:belt:\/\/([^/]+)\/([^/]+)\/([^,]+)/.exec(cert.subjectAltName ?? '') ?? [];
  if (revoked.has(name ?? '')) throw new BeltError('certificate', `${name} is revoked`);
  return { cluster: cluster ?? '', role: role as PeerRole, name: name ?? '', serial: cert.serialNumber };
}

const socketPath = file('engine.sock');
let engine: Server;
let proxy: EngineProxy;
let serve: (socket: Socket) => void;
let engineConnections = 0;

beforeAll(async () => {
  authority('ca');
  authority('other-ca');
  for (const role of ['operator', 'worker', 'manager', 'machine']) certificate(role, role, 'ca');
  certificate('stranger', 'operator', 'other-ca');
  engine = createServer({ allowHalfOpen: true }, (socket) => {
    engineConnections += 1;
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  engine.listen(socketPath);
  await once(engine, 'listening');
});
afterAll(() => {
  engine.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  revoked.clear();
  engineConnections = 0;
  proxy = await openEngineProxy({ host: '127.0.0.1', port: 0, socketPath, credentials: { key: pem('manager.key'), cert: pem('manager.crt'), ca: [pem('ca.crt')] }, identify });
});
afterEach(() => proxy.close());

async function client(name: string | null, allowHalfOpen = true): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: proxy.port, ca: pem('ca.crt'), ...{ allowHalfOpen }, ...(name === null ? {} : { key: pem(`${name}.key`), cert: pem(`${name}.crt`) }) });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

async function everything(socket: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe('an operator', () => {
  test('sends, ends its half, and still gets the answer that comes after (docker exec -i, docker load)', async () => {
    serve = (socket) => void everything(socket).then((text) => socket.end(`got ${text.length}`));
    const socket = await client('operator');
    socket.write('x'.repeat(3_000_000));
    socket.end();
    expect(await everything(socket)).toBe('got 3000000');
  });

  test('may go on sending after the engine ended its half', async () => {
    const received = Promise.withResolvers<string>();
    serve = (socket) => {
      socket.end('bye');
      void everything(socket).then(received.resolve);
    };
    const socket = await client('operator');
    expect(await everything(socket)).toBe('bye');
    socket.end('after');
    expect(await received.promise).toBe('after');
  });

  test('who goes away is gone for the engine too', async () => {
    const ended = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    serve = (socket) => {
      socket.once('end', () => ended.resolve()).resume();
      opened.resolve();
    };
    const socket = await client('operator');
    await opened.promise;
    socket.destroy();
    await ended.promise;
  });

  test('who does not read holds the engine back, and nobody else', async () => {
    const chunk = Buffer.alloc(1 << 20);
    const stalled = Promise.withResolvers<number>();
    serve = (socket) => {
      socket.once('data', (request: Buffer) => {
        if (request.toString() === 'quick') return socket.end('answer');
        let sent = 0;
        const fill = (): void => {
          if (!socket.write(chunk)) return stalled.resolve(sent);
          sent += chunk.length;
          setImmediate(fill);
        };
        socket.on('drain', fill);
        fill();
      });
    };
    const slow = await client('operator');
    slow.pause();
    slow.write('flood');
    await stalled.promise;
    const quick = await client('operator');
    quick.write('quick');
    expect(await everything(quick)).toBe('answer');
    slow.destroy();
  });

  test('is told when no engine answers', async () => {
    await proxy.close();
    proxy = await openEngineProxy({ host: '127.0.0.1', port: 0, socketPath: file('nothing.sock'), credentials: { key: pem('manager.key'), cert: pem('manager.crt'), ca: [pem('ca.crt')] }, identify });
    const socket = await client('operator');
    socket.write('GET /info HTTP/1.1\r\n\r\n');
    expect(await everything(socket)).toMatch(/^HTTP\/1.1 503 .*Docker Engine does not answer/s);
  });

  test('whose certificate is revoked is cut off in the middle', async () => {
    serve = (socket) => socket.on('data', (bytes) => socket.write(bytes));
    const socket = await client('operator', false);
    socket.write('still here');
    proxy.recheck();
    expect(String(await once(socket, 'data'))).toBe('still here');
    revoked.add('operator');
    proxy.recheck();
    await once(socket, 'close');
  });

  test('whose certificate runs out is cut off in the middle', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    try {
      serve = (socket) => socket.on('data', (bytes) => socket.write(bytes));
      const socket = await client('operator', false);
      vi.advanceTimersByTime(86_000_000);
      socket.write('still here');
      expect(String(await once(socket, 'data'))).toBe('still here');
      vi.advanceTimersByTime(1_000_000);
      await once(socket, 'close');
    } finally {
      vi.useRealTimers();
    }
  });

  test('whose certificate is of a root that was replaced is cut off in the middle', async () => {
    serve = (socket) => socket.on('data', (bytes) => socket.write(bytes));
    const socket = await client('operator', false);
    proxy.setCredentials({ key: pem('manager.key'), cert: pem('manager.crt'), ca: [pem('other-ca.crt'), pem('ca.crt')] });
    proxy.recheck();
    socket.write('still here');
    expect(String(await once(socket, 'data'))).toBe('still here');
    proxy.setCredentials({ key: pem('manager.key'), cert: pem('manager.crt'), ca: [pem('other-ca.crt')] });
    proxy.recheck();
    await once(socket, 'close');
  });
});

test('who connects and says nothing does not hold up the end', async () => {
  const silent = connectTcp({ host: '127.0.0.1', port: proxy.port });
  silent.on('error', () => undefined);
  await once(silent, 'connect');
  // Ends before the time for a handshake is over, or the test is.
  await proxy.close();
  await once(silent, 'close');
}, 5_000);

test.each([
  [null, /no certificate/], ['worker', /worker worker may not use the engine/], ['machine', /machine machine may not/], ['manager', /manager manager may not/],
  ['stranger', /not acceptable/],
])('certificate %s: refused with the reason, and the engine never hears of it', async (name, reason) => {
  serve = (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n');
  const socket = await client(name);
  socket.write('GET /info HTTP/1.1\r\n\r\n');
  const reply = await everything(socket);
  expect(reply).toMatch(/^HTTP\/1.1 403 Forbidden/);
  expect(reply).toMatch(reason);
  expect(engineConnections).toBe(0);
});

test('a port that somebody else holds is left alone', async () => {
  const options = { host: '127.0.0.1', port: proxy.port, socketPath, credentials: { key: pem('manager.key'), cert: pem('manager.crt'), ca: [pem('ca.crt')] }, identify };
  await expect(openEngineProxy(options)).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining(`port ${proxy.port} is not ours`) });
});
