/**
 * The one TLS port of an agent (2378), split by ALPN into Raft between managers, calls, and the join call. TLS 1.3 only. A client
 * certificate is checked for the first two before a byte of theirs is read; whoever speaks `belt-join/1` needs none.
 */
import type { Server, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { BeltError, asBeltError } from '../../errors.ts';
import { peerOf, type Credentials, type Identify, type PeerIdentity } from './identity.ts';

/** The protocols of the port, as ALPN names. */
export const ALPN = { raft: 'belt-raft/1', call: 'belt/1', join: 'belt-join/1' } as const;

/** What a listener does with connections. Each handler owns its socket from then on, error events included. */
export interface ListenerHandlers {
  /** A manager of the cluster that sends Raft messages. Roles other than manager never get here. */
  readonly raft: (socket: TLSSocket, peer: PeerIdentity) => void;
  /** A holder of any valid certificate of the cluster: what its role may call is decided call by call. */
  readonly call: (socket: TLSSocket, peer: PeerIdentity) => void;
  /** Anybody at all. */
  readonly join: (socket: TLSSocket) => void;
  /** A connection that was turned away, for the log. */
  readonly refused?: (address: string, error: BeltError) => void;
  /** Tells whoever speaks `belt-raft/1` why it is turned away, and ends the socket. Without it the socket is cut. */
  readonly turnAway?: (socket: TLSSocket, error: BeltError) => void;
  /** Tells a caller of `belt/1` why it is turned away, and ends the socket. Without it the socket is cut. */
  readonly explain?: (socket: TLSSocket, error: BeltError) => void;
}

export interface ListenerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly credentials: Credentials;
  /** Reads and judges the certificate of the other side; throws `BeltError('certificate')` to refuse (wrong cluster, revoked). */
  readonly identify: Identify;
  readonly handlers: ListenerHandlers;
  /** Most connections at once; more are closed at accept. Default 8,192: a cluster of 5,000 and its operators. */
  readonly maxConnections?: number;
  /** Longest handshake, ms. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
}

export interface Listener {
  readonly port: number;
  /** New key, certificate or roots for the connections from now on; those open stay. */
  setCredentials(credentials: Credentials): void;
  /** Stops accepting and cuts what is open. */
  close(): Promise<void>;
}

/** Opens the port. Rejects with `BeltError('failed')` when it cannot be bound. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const open = new Set<Socket>();
  const server = createServer({
    ...secure(options.credentials),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: Object.values(ALPN),
    handshakeTimeout: options.handshakeTimeoutMs ?? 10_000,
    noDelay: true,
  });
  server.maxConnections = options.maxConnections ?? 8192;
  // Connections are noted before their handshake: one that never makes it would hold up `close`.
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('secureConnection', (socket) => accept(socket, options));
  server.on('tlsClientError', (error, socket) => options.handlers.refused?.(socket.remoteAddress ?? '?', asBeltError(error, 'certificate')));
  await bind(server, options.host, options.port);
  server.on('error', (error) => options.handlers.refused?.('?', asBeltError(error)));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    setCredentials: (credentials) => server.setSecureContext(secure(credentials)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function secure(credentials: Credentials): { key: string; cert: string; ca: string[]; minVersion: 'TLSv1.3' } {
  return { key: credentials.key, cert: credentials.cert, ca: [...credentials.ca], minVersion: 'TLSv1.3' };
}

/** Hands a finished handshake to the handler of its protocol, or closes it. */
function accept(socket: TLSSocket, { identify, handlers }: ListenerOptions): void {
  try {
    if (socket.alpnProtocol === ALPN.join) return handlers.join(socket);
    const peer = peerOf(socket, identify);
    if (socket.alpnProtocol === ALPN.call) return handlers.call(socket, peer);
    if (socket.alpnProtocol !== ALPN.raft) throw new BeltError('bad_request', 'the client named no protocol of belt');
    if (peer.role !== 'manager') throw new BeltError('forbidden', `${peer.name} is no manager and may not speak ${ALPN.raft}`);
    handlers.raft(socket, peer);
  } catch (error) {
    const refusal = asBeltError(error, 'certificate');
    handlers.refused?.(socket.remoteAddress ?? '?', refusal);
    socket.on('error', () => undefined);
    if (handlers.explain !== undefined && socket.alpnProtocol === ALPN.call) handlers.explain(socket, refusal);
    else if (handlers.turnAway !== undefined && socket.alpnProtocol === ALPN.raft) handlers.turnAway(socket, refusal);
    else socket.destroy();
  }
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new BeltError('failed', `cannot listen on ${host}:${port}: ${error.message}`, { cause: error })));
    server.listen(port, host, () => resolve());
  });
}
