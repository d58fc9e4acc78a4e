/** Connecting to an agent's port: TLS 1.3, the protocol by ALPN, and the other end's identity checked before a byte is sent. */
import { connect, type TLSSocket } from 'node:tls';
import { BeltError } from '../../errors.ts';
import { peerOf, type Credentials, type Identify, type PeerIdentity } from './identity.ts';
import { ALPN } from './listener.ts';

export interface DialOptions {
  /** `host:port`; an IPv6 host in brackets. */
  readonly address: string;
  readonly protocol: keyof typeof ALPN;
  readonly credentials: Credentials;
  readonly identify: Identify;
  /** The node id that must answer, as a manager; null takes any manager of the cluster. */
  readonly expect: string | null;
  /** Until the handshake is done, ms. Default 5,000. */
  readonly timeoutMs?: number;
}

/** An open connection and who is at its other end. Rejects with `BeltError('unreachable')`, or `BeltError('certificate')` when somebody else answers. */
export function dial(options: DialOptions): Promise<{ socket: TLSSocket; peer: PeerIdentity }> {
  const { address, credentials, protocol } = options;
  const colon = address.lastIndexOf(':');
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address.slice(0, colon).replace(/^\[|\]$/g, ''),
      port: Number(address.slice(colon + 1)),
      key: credentials.key,
      cert: credentials.cert,
      ca: [...credentials.ca],
      minVersion: 'TLSv1.3',
      ALPNProtocols: [ALPN[protocol]],
      // Who answers is read from the certificate's URI by `identify`; its addresses say nothing about its role.
      checkServerIdentity: () => undefined,
    });
    socket.setNoDelay(true);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error instanceof BeltError ? error : new BeltError('unreachable', `no connection to ${address}: ${error.message}`, { machine: options.expect ?? address, cause: error }));
    };
    const timer = setTimeout(() => fail(new Error('it does not answer')), options.timeoutMs ?? 5_000);
    socket.once('error', fail);
    socket.once('close', () => clearTimeout(timer));
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      try {
        const peer = checked(socket, options);
        socket.off('error', fail);
        resolve({ socket, peer });
      } catch (error) {
        fail(error as Error);
      }
    });
  });
}

function checked(socket: TLSSocket, { identify, expect, address }: DialOptions): PeerIdentity {
  const peer = peerOf(socket, identify);
  if (peer.role !== 'manager') throw new BeltError('certificate', `${address} answers as ${peer.role} ${peer.name}, not as a manager`, { machine: peer.name });
  if (expect !== null && peer.name !== expect) throw new BeltError('certificate', `${address} answers as ${peer.name}, not as ${expect}`, { machine: expect });
  return peer;
}
