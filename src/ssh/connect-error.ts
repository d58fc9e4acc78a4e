/** What a failed connection attempt means, in belt's words. Pure; decides on error codes and levels, never on message text. */
import { BeltError } from '../errors.ts';

export interface ConnectContext {
  readonly machine: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile?: string | undefined;
  /** The caller's own signal fired. */
  readonly interrupted: boolean;
  /** The time for the attempt was over. */
  readonly timedOut: boolean;
}

const SYSTEM: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'timed out',
  ENOTFOUND: 'the name does not resolve',
  EAI_AGAIN: 'the name does not resolve at the moment',
};

/** The `BeltError` for what `connect` or the handshake failed with. */
export function connectError(error: unknown, context: ConnectContext): BeltError {
  const { machine, host, port, user, keyFile } = context;
  const where = machine === host ? `${host}:${port}` : `${machine} (${host}:${port})`;
  if (context.interrupted) return new BeltError('interrupted', `interrupted while connecting to ${where}`, { machine });
  const { code, level } = (error ?? {}) as { code?: unknown; level?: unknown };
  if (level === 'client-authentication') {
    const next = keyFile === undefined ? `check the user with: ssh -p ${port} ${user}@${host}` : `check the user, or let the key in: ssh-copy-id -f -i ${keyFile}.pub -p ${port} ${user}@${host}`;
    return new BeltError('ssh_auth', `${where} refuses the SSH key for user ${user}`, { machine, cause: error, next });
  }
  const reason = context.timedOut ? 'timed out' : (SYSTEM[String(code)] ?? (error instanceof Error ? error.message : String(error)));
  return new BeltError('unreachable', `cannot reach ${where} over SSH: ${reason}`, { machine, cause: error, next: `see whether it is up: belt ls` });
}
