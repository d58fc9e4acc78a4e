/**
 * The SSH server of the `local` driver's machines: many in one process, each on an address of its own. Public keys only; commands,
 * shells and terminals, and nothing else (no forwarding, no subsystems). A command runs as the user of this process, with the
 * machine's folder as its home. Nagle is off; pipes push back through the channel's window.
 */
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import ssh2, { type AuthContext, type Connection, type PublicKeyAuthContext, type Session } from 'ssh2';
import { BeltError } from '../errors.ts';
import { generateSshKeyPair } from './key-pair.ts';
import { serveSession, type SessionSettings } from './server-session.ts';

export interface SshServerOptions extends SessionSettings {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** Private host key file; made (Ed25519, 0600) when it is not there. */
  readonly hostKeyFile: string;
  /** The one user name that is let in. */
  readonly user: string;
  /** File with the public keys that are let in, one a line; read at each login. A missing file lets nobody in. */
  readonly authorizedKeysFile: string;
}

export interface SshServer {
  readonly address: string;
  readonly port: number;
  /** Accepts connections and answers nothing, as a frozen machine does; open ones stall. `resume` goes on where it stood. */
  pause(): void;
  resume(): void;
  /** Stops listening and resets every connection at once. */
  close(): Promise<void>;
}

const ALGORITHMS = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256'],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256'],
  compress: ['none'],
};
/** Connections of one machine at a time, so that a runaway client cannot take all descriptors of the process. */
const MAX_CONNECTIONS = 64;
/** A connection that has not logged in by then is dropped, milliseconds. */
const LOGIN_GRACE_MS = 30_000;

/** Starts listening. Throws `unreachable` (machine: the address) when the address or port cannot be had. */
export async function startSshServer(options: SshServerOptions): Promise<SshServer> {
  const hostKey = await hostKeyFrom(options.hostKeyFile);
  const sockets = new Set<Socket>();
  const waiting: Socket[] = [];
  let paused = false;
  const protocol = new ssh2.Server({ hostKeys: [hostKey], algorithms: ALGORITHMS as never, ident: 'belt' }, (client) => serveConnection(client, options));
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    if (paused) waiting.push(socket.pause());
    else protocol.injectSocket(socket);
  });
  listener.maxConnections = MAX_CONNECTIONS;
  listener.listen({ host: options.address, port: options.port, backlog: 128 });
  await once(listener, 'listening').catch((error: unknown) => {
    throw new BeltError('unreachable', `cannot listen on ${options.address}:${options.port}: ${(error as Error).message}`, { machine: options.address, cause: error });
  });
  const bound = listener.address();
  return {
    address: options.address,
    port: typeof bound === 'object' && bound !== null ? bound.port : options.port,
    pause: () => {
      paused = true;
      for (const socket of sockets) socket.pause();
    },
    resume: () => {
      paused = false;
      for (const socket of waiting.splice(0)) if (!socket.destroyed) protocol.injectSocket(socket);
      for (const socket of sockets) socket.resume();
    },
    close: async () => {
      const closed = once(listener, 'close');
      listener.close();
      for (const socket of sockets) socket.resetAndDestroy();
      await closed;
    },
  };
}

function serveConnection(client: Connection, options: SshServerOptions): void {
  const grace = setTimeout(() => client.end(), LOGIN_GRACE_MS);
  grace.unref();
  const sessions = new Set<() => void>();
  client.on('error', () => {});
  client.on('close', () => {
    clearTimeout(grace);
    for (const hangUp of sessions) hangUp();
  });
  client.on('authentication', (context) => {
    judge(context, options).then(
      (accepted) => (accepted ? context.accept() : context.reject(['publickey'])),
      () => context.reject(['publickey']),
    );
  });
  client.on('ready', () => {
    clearTimeout(grace);
    client.on('session', (accept: () => Session) => serveSession(accept(), options, sessions));
  });
}

/** Whether the key may log in; when the client signed (second step of RFC 4252, 7), whether the signature holds. */
async function judge(context: AuthContext, options: SshServerOptions): Promise<boolean> {
  if (context.method !== 'publickey' || context.username !== options.user) return false;
  const { key, signature, blob, hashAlgo } = context as PublicKeyAuthContext;
  const lines = (await readFile(options.authorizedKeysFile, 'utf8').catch(() => '')).split('\n');
  for (const line of lines) {
    const [type, base64] = line.trim().split(/\s+/);
    if (type === undefined || base64 === undefined || type.startsWith('#') || !key.data.equals(Buffer.from(base64, 'base64'))) continue;
    if (signature === undefined || blob === undefined) return true;
    const parsed = ssh2.utils.parseKey(`${type} ${base64}`);
    const known = Array.isArray(parsed) ? parsed[0] : parsed;
    return known !== undefined && !(known instanceof Error) && known.verify(blob, signature, hashAlgo) === true;
  }
  return false;
}

async function hostKeyFrom(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const { privateKey } = generateSshKeyPair('');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, privateKey, { mode: 0o600, flag: 'wx' });
  return privateKey;
}
