/** Connections to managers, for calls of one agent to another: dialed when needed, kept while used, one per manager. */
import type { TLSSocket } from 'node:tls';

import { BeltError, isBeltError } from '../../errors.ts';
import type { CallName, CallParams, CallResult } from '../api/calls.ts';
import { dial, type CallClient, type CallOptions } from '../api/client.ts';
import type { ManagerAddress } from '../api/shapes.ts';
import type { Clock } from '../ports.ts';
import { peerOf, type Credentials, type Identify } from '../transport/identity.ts';

export interface PeersOptions {
  readonly clock: Clock;
  /** Asked at each dial, so that a renewed certificate is used from then on. */
  readonly credentials: () => Credentials;
  readonly identify: Identify;
  /** A manager shows a root we do not know; resolves when it is known, rejects when it must not be. */
  readonly onUnknownRoot: (manager: ManagerAddress) => Promise<void>;
}

/** Milliseconds; a manager that takes longer to shake hands is as good as down. */
const DIAL_MS = 2000;
/** OpenSSL's verdicts on a chain that ends in a root that is not among ours. */
const UNKNOWN_ROOT = /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(GET_ISSUER_CERT|VERIFY_LEAF)/;

export class Peers {
  readonly #options: PeersOptions;
  readonly #open = new Map<string, Promise<CallClient>>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Makes a call on the connection to `manager`. Rejects with `unreachable` where it does not answer, `certificate` where it is somebody else. */
  async call<N extends CallName>(manager: ManagerAddress, name: N, params: CallParams<N>, options: CallOptions = {}): Promise<CallResult<N>> {
    return (await this.connect(manager)).call(name, params, options);
  }

  /** The first answer of `managers`, asked one after another: the next is asked where one is unreachable or has no quorum. */
  async any<N extends CallName>(managers: readonly ManagerAddress[], name: N, params: CallParams<N>, options: CallOptions = {}): Promise<CallResult<N>> {
    let last = new BeltError('unreachable', 'no manager is known');
    for (const manager of managers) {
      try {
        return await this.call(manager, name, params, options);
      } catch (error) {
        if (!isBeltError(error) || !error.retryable) throw error;
        last = error;
      }
    }
    throw last;
  }

  connect(manager: ManagerAddress): Promise<CallClient> {
    const known = this.#open.get(manager.address);
    if (known !== undefined) return known;
    const fresh = this.dial(manager);
    this.#open.set(manager.address, fresh);
    const forget = (): void => {
      if (this.#open.get(manager.address) === fresh) this.#open.delete(manager.address);
    };
    fresh.then((client) => client.onClose(forget), forget);
    return fresh;
  }

  /** A connection of one's own, for a session. */
  async dial(manager: ManagerAddress, signal?: AbortSignal, timeoutMs: number = DIAL_MS): Promise<CallClient> {
    try {
      return await this.#dial(manager, timeoutMs, signal);
    } catch (error) {
      if (!isBeltError(error, 'certificate') || !UNKNOWN_ROOT.test(error.message)) throw error;
      await this.#options.onUnknownRoot(manager);
      return this.#dial(manager, timeoutMs, signal);
    }
  }

  #dial(manager: ManagerAddress, timeoutMs: number, signal?: AbortSignal): Promise<CallClient> {
    const { key, cert, ca } = this.#options.credentials();
    const verify = (socket: TLSSocket): void => this.#verify(socket, manager);
    return dial({ address: manager.address, machine: manager.name, protocol: 'belt/1', identity: { key, cert }, roots: ca, timeoutMs, verify, signal });
  }

  /** Forgets all connections: after a new certificate or new roots. What is under way on them ends first, within `graceMs`. */
  renew(graceMs: number): void {
    const old = [...this.#open.values()];
    this.#open.clear();
    const close = (): void => {
      for (const client of old) void client.then((open) => open.close(), () => undefined);
    };
    if (graceMs === 0) close();
    else this.#options.clock.after(graceMs, close);
  }

  #verify(socket: TLSSocket, manager: ManagerAddress): void {
    const peer = peerOf(socket, this.#options.identify, this.#options.clock.now());
    if (peer.role !== 'manager') throw new BeltError('certificate', `${manager.name} (${manager.address}) shows a ${peer.role} certificate where a manager was expected`, { machine: manager.name });
    if (manager.id !== '' && peer.name !== manager.id) throw new BeltError('certificate', `${manager.name} (${manager.address}) is node ${peer.name}, not ${manager.id}`, { machine: manager.name });
  }
}
