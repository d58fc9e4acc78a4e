/**
 * Port 2376: Docker's API for operators. The TLS handshake says who calls; then bytes are piped to the engine's socket and back unread, each
 * way with its own end and at its own pace, so that `exec -it`, `attach`, `logs -f`, `events` and `build` work as on the machine itself, and
 * a client that reads slowly holds back nobody but its own stream.
 */
import { connect, type Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';

import { signedByOne } from '../../certs/identity.ts';
import { asBeltError, BeltError } from '../../errors.ts';
import { peerOf, type Credentials, type Identify, type PeerIdentity } from '../transport/identity.ts';

export const ENGINE_PORT = 2376;

export interface EngineProxyOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** The engine's socket. */
  readonly socketPath: string;
  readonly credentials: Credentials;
  readonly identify: Identify;
  /** A caller that was turned away, for the log. */
  readonly refused?: (address: string, error: BeltError) => void;
  /** Most connections at once; more are closed at accept. Default 512. */
  readonly maxConnections?: number;
}

export interface EngineProxy {
  readonly port: number;
  setCredentials(credentials: Credentials): void;
  /** Looks at every open connection's certificate again and cuts those that count no more: refused by `identify` (revoked), run out, of a root that was replaced. */
  recheck(): void;
  /** Stops accepting and cuts what is open. */
  close(): Promise<void>;
}

const HANDSHAKE_MS = 10_000;
/** How long somebody who is turned away gets to send the request that the refusal answers, ms. */
const REFUSED_MS = 5_000;

/** Opens the port. Rejects with `BeltError('failed')` when it is taken: whatever holds it is left alone, and the agent goes on without. */
export async function openEngineProxy(options: EngineProxyOptions): Promise<EngineProxy> {
  let roots = options.credentials.ca;
  const open = new Set<Socket>();
  const callers = new Set<TLSSocket>();
  const server = createServer({
    ...secure(options.credentials), requestCert: true, rejectUnauthorized: false, handshakeTimeout: HANDSHAKE_MS, noDelay: true, allowHalfOpen: true,
  });
  server.maxConnections = options.maxConnections ?? 512;
  // Noted before their handshake: one that never makes it would hold up `close`.
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('secureConnection', (socket) => {
    callers.add(socket);
    socket.once('close', () => callers.delete(socket));
    accept(socket, options);
  });
  server.on('tlsClientError', (error, socket) => options.refused?.(socket.remoteAddress ?? '?', asBeltError(error, 'certificate')));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new BeltError('failed', `port ${options.port} is not ours to open: ${error.message}`, { cause: error, next: 'ss -ltnp shows what holds it' })));
    server.listen(options.port, options.host, () => resolve());
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    setCredentials: (credentials) => {
      roots = credentials.ca;
      server.setSecureContext(secure(credentials));
    },
    recheck: () => {
      for (const socket of callers) if (!counts(socket, options.identify, roots)) socket.destroy();
    },
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of open) socket.destroy();
    }),
  };
}

function secure(credentials: Credentials): { key: string; cert: string; ca: string[]; minVersion: 'TLSv1.3' } {
  return { key: credentials.key, cert: credentials.cert, ca: [...credentials.ca], minVersion: 'TLSv1.3' };
}

function operatorOf(socket: TLSSocket, identify: Identify): PeerIdentity {
  const peer = peerOf(socket, identify);
  if (peer.role !== 'operator') throw new BeltError('forbidden', `${peer.role} ${peer.name} may not use the engine; an operator's certificate is needed`);
  return peer;
}

/** TLS's own verdict is as old as the handshake: it knows nothing of a root that has gone since. */
function counts(socket: TLSSocket, identify: Identify, roots: readonly string[]): boolean {
  try {
    operatorOf(socket, identify);
  } catch {
    return false;
  }
  const certificate = socket.getPeerX509Certificate();
  return certificate !== undefined && signedByOne(certificate, roots);
}

function accept(socket: TLSSocket, options: EngineProxyOptions): void {
  socket.on('error', () => socket.destroy());
  try {
    operatorOf(socket, options.identify);
  } catch (error) {
    const why = asBeltError(error, 'certificate');
    options.refused?.(socket.remoteAddress ?? '?', why);
    answer(socket, '403 Forbidden', `${why.message} (eval $(belt env NODE) points docker at it with yours)`);
    return;
  }
  cutAt(socket, socket.getPeerX509Certificate()?.validToDate.getTime() ?? 0);
  const engine = connect({ path: options.socketPath, allowHalfOpen: true });
  engine.once('connect', () => join(socket, engine));
  engine.once('error', (error) => answer(socket, '503 Service Unavailable', `Docker Engine does not answer on this machine: ${error.message}`));
  socket.once('close', () => engine.destroy());
}

/** The longest a Node timer can wait, ms. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** A connection does not outlive the certificate that opened it: `docker events` may go on for months. `expires`: ms since 1970. */
function cutAt(socket: TLSSocket, expires: number): void {
  const left = expires - Date.now();
  if (left <= 0) return void socket.destroy();
  const timer = setTimeout(() => cutAt(socket, expires), Math.min(left, TIMER_MS_MAX)).unref();
  socket.once('close', () => clearTimeout(timer));
}

/** Bytes both ways. When one side's sending ends, the other is told so and may still send; when one side breaks, so does the other. */
function join(client: TLSSocket, engine: Socket): void {
  engine.removeAllListeners('error');
  engine.on('error', () => client.destroy());
  engine.once('close', () => {
    // What the engine said last must still reach the client.
    if (!client.writableEnded) client.end();
    client.destroySoon();
  });
  client.pipe(engine);
  engine.pipe(client);
}

/** Answers the first request with a sentence that docker shows ("Error response from daemon: …"), then hangs up. */
function answer(socket: TLSSocket, status: string, message: string): void {
  const body = JSON.stringify({ message });
  const timer = setTimeout(() => socket.destroy(), REFUSED_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.once('data', () => {
    socket.end(`HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
    socket.resume();
  });
}
