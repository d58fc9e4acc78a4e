/**
 * SSH connections to machines. One connection is cheap (about 2.5 ms of CPU with the key exchange) and none is shared or kept:
 * whoever works on many machines keeps the window. Nagle is off (with it on, each round trip costs 40 ms), curve25519, ed25519
 * and aes128-gcm are preferred, only public keys are offered, and nothing is forwarded.
 */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import ssh2, { type Algorithms, type Client as Ssh2Client, type ParsedKey } from 'ssh2';
import { BeltError, isBeltError } from '../errors.ts';
import { connectError } from './connect-error.ts';
import { openChannel, runCommand, type ExecOptions, type ExecResult, type SshStream, type StreamOptions } from './channel.ts';
import { checkHostKey, hostKeyAlgorithms, hostKeyOf, type HostKey, type HostKeyPolicy } from './host-key.ts';

export interface SshConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Private key text (OpenSSH or PEM, not encrypted), or one that {@link loadPrivateKey} read once for many connections. */
  readonly privateKey: string | SshPrivateKey;
  /** Where that key lies, so that a refusal can say how it is let in. */
  readonly keyFile?: string | undefined;
  readonly hostKey: HostKeyPolicy;
  /** The machine's name, for messages. Default: the host. */
  readonly machine?: string | undefined;
  /** For TCP, key exchange and authentication together, milliseconds. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** An idle connection is asked for a sign of life this often and lost after three without one; 0: never. Default 15,000. */
  readonly keepaliveMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A private key that has been read. Opaque outside src/ssh. */
export interface SshPrivateKey {
  readonly parsed: ParsedKey;
  /** `ssh-ed25519 AAAA…`: the line that lets it in. */
  readonly publicKey: string;
}

/** An open, authenticated connection. */
export interface SshConnection extends AsyncDisposable {
  /** The key the machine showed: to be pinned when it was met at first sight. */
  readonly hostKey: HostKey;
  readonly machine: string;
  /** Runs one command and collects what it says. A non-zero exit code is a result, not an error. */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** Starts a command for a conversation, or a login shell when `command` is null. The caller reads stdout and stderr. */
  stream(command: string | null, options?: StreamOptions): Promise<SshStream>;
  /** Resolves when the connection is gone, whoever ended it. Never rejects. */
  readonly closed: Promise<void>;
  /** Ends the connection; running commands of it fail with `unreachable`. */
  close(): Promise<void>;
}

const ALGORITHMS = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521', 'diffie-hellman-group14-sha256', 'diffie-hellman-group16-sha512'],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
} as const;

/** How long a closing connection waits for the other side, milliseconds. */
const GOODBYE_MS = 1_000;

/** Reads a private key once, so that thousands of connections need not. Throws `config` for what is no unencrypted private key. */
export function loadPrivateKey(text: string, source = 'the SSH key'): SshPrivateKey {
  const parsed = ssh2.utils.parseKey(text);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error || !key.isPrivateKey()) {
    const why = key instanceof Error && /encrypted/i.test(key.message) ? 'is encrypted; belt cannot ask for its passphrase' : 'is no private key';
    throw new BeltError('config', `${source} ${why}`, { next: 'give an OpenSSH or PEM private key without a passphrase' });
  }
  const blob = key.getPublicSSH();
  return { parsed: key, publicKey: hostKeyOf(blob).openssh };
}

/**
 * Opens a connection. Throws `unreachable` (refused, no route, timed out, closed in the handshake), `ssh_auth` (the key is not let
 * in; retryable, as machines refuse keys while they boot), `host_key_changed`, `config` (the key file) or `interrupted`.
 */
export async function connectSsh(options: SshConnectOptions): Promise<SshConnection> {
  const machine = options.machine ?? options.host;
  const key = typeof options.privateKey === 'string' ? loadPrivateKey(options.privateKey) : options.privateKey;
  const deadline = AbortSignal.timeout(options.timeoutMs ?? 10_000);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  let socket: Socket | undefined;
  try {
    signal.throwIfAborted();
    socket = connectTcp({ host: options.host, port: options.port, noDelay: true });
    await once(socket, 'connect', { signal });
    return await authenticate(socket, { ...options, machine, key }, signal);
  } catch (error) {
    socket?.on('error', () => {}).destroy();
    if (isBeltError(error)) throw error;
    throw connectError(error, { machine, host: options.host, port: options.port, user: options.user, keyFile: options.keyFile, interrupted: options.signal?.aborted ?? false, timedOut: deadline.aborted });
  }
}

type AuthenticateOptions = SshConnectOptions & { readonly machine: string; readonly key: SshPrivateKey };

/** Key exchange and authentication on a connected socket. The host key is judged before anything of ours is sent. */
async function authenticate(socket: Socket, options: AuthenticateOptions, signal: AbortSignal): Promise<SshConnection> {
  const { machine, key } = options;
  const client = new ssh2.Client();
  let seen: HostKey | undefined;
  let refusal: unknown;
  const ready = once(client, 'ready', { signal });
  const lost = new Promise<never>((_, reject) => client.once('close', () => reject(new Error('the connection was closed during the handshake'))));
  lost.catch(() => {});
  // `once` above turns the first error into a rejection; later ones end in `close`, which every channel hears of.
  client.on('error', () => {});
  client.connect({
    sock: socket,
    username: options.user,
    algorithms: { ...ALGORITHMS, serverHostKey: hostKeyAlgorithms(options.hostKey) } as unknown as Algorithms,
    readyTimeout: 0,
    keepaliveInterval: options.keepaliveMs ?? 15_000,
    keepaliveCountMax: 3,
    // Only the key is tried: the customary probe with method `none` would cost a round trip.
    authHandler: [{ type: 'publickey', username: options.user, key: key.parsed } as unknown as 'publickey'],
    hostVerifier: (blob: Buffer) => {
      try {
        seen = hostKeyOf(blob);
        checkHostKey(options.hostKey, seen, machine);
        return true;
      } catch (error) {
        refusal = error;
        return false;
      }
    },
  });
  try {
    await Promise.race([ready, lost]);
  } catch (error) {
    ready.catch(() => {});
    client.destroy();
    throw refusal ?? error;
  }
  if (seen === undefined) throw new BeltError('unreachable', `${machine} showed no host key`, { machine });
  return connectionOf(client, socket, seen, machine);
}

function connectionOf(client: Ssh2Client, socket: Socket, hostKey: HostKey, machine: string): SshConnection {
  // One listener a running command.
  client.setMaxListeners(0);
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  const close = async (): Promise<void> => {
    client.end();
    // A frozen machine never answers the goodbye; ssh2's own destroy() leaves alone a socket that has said it.
    const timer = setTimeout(() => socket.destroy(), GOODBYE_MS);
    await closed;
    clearTimeout(timer);
  };
  return {
    hostKey,
    machine,
    exec: (command, options) => runCommand(client, machine, command, options),
    stream: (command, options) => openChannel(client, machine, command, options),
    closed,
    close,
    [Symbol.asyncDispose]: close,
  };
}
