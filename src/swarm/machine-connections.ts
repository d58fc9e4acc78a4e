/** SSH connections to the cluster's machines: the cluster's key, host keys pinned as they are seen, a budget for machines that are still booting. */
import { takeOwnKey } from '../bootstrap/first-contact.ts';
import { addressOf } from '../bootstrap/wanted.ts';
import { BeltError, isBeltError } from '../errors.ts';
import type { HostKeyRecord } from '../inventory/state.ts';
import type { Machine } from '../provision/driver.ts';
import { wayOn } from '../provision/way-on.ts';
import type { SshConnection, SshPrivateKey } from '../ssh/client.ts';
import { waitForSsh } from '../ssh/wait.ts';

export interface ConnectionsOptions {
  /** The cluster's private key file. */
  readonly keyFile: string;
  /** Reads it, when the first connection is made. Throws `state_damaged`. */
  readonly readKey: () => SshPrivateKey;
  /** The pinned keys of a machine, null for one that was never met. */
  readonly pinned: (machine: string) => Pick<HostKeyRecord, 'keys' | 'source'> | null;
  /** Keeps the key of a machine that was met for the first time; resolves when it is on disk. */
  readonly pin: (machine: string, key: HostKeyRecord) => Promise<void>;
  readonly now: () => number;
  /** Called where a key is believed because it is the first. */
  readonly onFirstSight?: ((machine: string, fingerprint: string) => void) | undefined;
  /** Called each time a machine refuses the key and is waited for, with the longest time that takes, milliseconds. */
  readonly onKeyRefused?: ((error: BeltError, budgetMs: number) => void) | undefined;
}

/** How long a machine may take to let us in, ms: a cloud's is up before its sshd has our key. On `local` it is there or it is not. */
const BUDGET_MS = { local: 2000, other: 120_000 } as const;

export class MachineConnections {
  readonly #options: ConnectionsOptions;
  #key: SshPrivateKey | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Opens a connection and pins a key seen for the first time. Throws `unreachable`, `ssh_auth`, `host_key_changed`, `interrupted`, `state_damaged`. */
  async connect(machine: Machine, signal: AbortSignal, budgetMs: number = machine.driver === 'local' ? BUDGET_MS.local : BUDGET_MS.other): Promise<SshConnection> {
    const { keyFile, readKey, pinned, pin, now, onFirstSight, onKeyRefused } = this.#options;
    const host = addressOf(machine);
    if (host === null) throw new BeltError('unreachable', `${machine.name} has no address yet`, { machine: machine.name, next: 'belt ls' });
    this.#key ??= readKey();
    const known = pinned(machine.name);
    // A machine that was switched off is tried once, as somebody else may have started it, and not waited for.
    const isOff = machine.status === 'off';
    const connection = await waitForSsh({
      host, port: machine.sshPort, user: machine.sshUser, privateKey: this.#key, keyFile, machine: machine.name, signal, budgetMs: isOff ? 0 : budgetMs,
      hostKey: known === null ? 'first-sight' : { pinned: known.keys },
      onRetry: (error) => error.code === 'ssh_auth' && onKeyRefused?.(error, budgetMs),
    }).catch((error: unknown) => {
      if (!isOff || !isBeltError(error, 'unreachable')) throw error;
      throw new BeltError('unreachable', `${machine.name} is off`, { machine: machine.name, cause: error, next: wayOn([machine.name], () => machine.driver) });
    });
    if (known === null) {
      onFirstSight?.(machine.name, connection.hostKey.fingerprint);
      await pin(machine.name, { keys: [connection.hostKey.openssh], source: 'first-sight', pinnedAt: new Date(now()).toISOString() });
    }
    if (known?.source === 'injected') {
      try {
        await takeOwnKey({ machine, connection, injected: known.keys, pin: (record) => pin(machine.name, record), now });
      } catch (error) {
        await connection.close();
        throw error;
      }
    }
    return connection;
  }
}
