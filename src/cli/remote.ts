/** SSH to the cluster's machines from the command line: addresses and pinned keys of the inventory in, keys met for the first time out. */
import { BeltError, isBeltError } from '../errors.ts';
import type { MachineRecord } from '../inventory/state.ts';
import { wayOn } from '../provision/way-on.ts';
import type { SshConnection, SshPrivateKey } from '../ssh/client.ts';
import { waitForSsh } from '../ssh/wait.ts';
import { readSshKey } from './cluster-credentials.ts';
import type { ClusterView, Context } from './context.ts';

/** How long a machine that refuses may go on booting, milliseconds. */
const BOOT_MS = 15_000;
/** The same for a machine that nobody has been on yet, as bootstrap would wait for it. */
export const FIRST_BOOT_MS = 120_000;

/** Opens connections and remembers which keys were met for the first time; {@link pinNewKeys} writes them down once at the end. */
export class RemoteAccess {
  readonly #ctx: Context;
  readonly #cluster: ClusterView;
  readonly #key: SshPrivateKey;
  readonly #met = new Map<string, string>();
  #saidWaiting = false;

  constructor(ctx: Context, cluster: ClusterView) {
    this.#ctx = ctx;
    this.#cluster = cluster;
    this.#key = readSshKey(cluster.files);
  }

  /** Throws `unreachable`, `ssh_auth`, `host_key_changed`. */
  async connect(machine: MachineRecord, signal: AbortSignal, bootMs: number = BOOT_MS): Promise<SshConnection> {
    const host = machine.publicIpv4 ?? machine.privateIpv4;
    if (host === null) throw new BeltError('unreachable', `${machine.name} has no address yet`, { machine: machine.name, next: 'belt status --wait active=N' });
    const pinned = this.#cluster.state.hostKeys[machine.name]?.keys;
    // A machine that was switched off is tried once, as somebody else may have started it, and not waited for.
    const isOff = machine.status === 'off';
    const connection = await waitForSsh({
      host, port: machine.sshPort, user: machine.sshUser, privateKey: this.#key, keyFile: this.#cluster.files.sshKey, machine: machine.name, signal,
      hostKey: pinned === undefined ? 'first-sight' : { pinned }, budgetMs: isOff ? 0 : bootMs, onRetry: (error) => this.#sayWaiting(error, bootMs),
    }).catch((error: unknown) => {
      if (!isOff || !isBeltError(error, 'unreachable')) throw error;
      throw new BeltError('unreachable', `${machine.name} is off`, { machine: machine.name, cause: error, next: wayOn([machine.name], () => machine.driver) });
    });
    if (pinned === undefined) this.#met.set(machine.name, connection.hostKey.openssh);
    return connection;
  }

  /** Once a command, whatever the number of machines that are waited for. */
  #sayWaiting(error: BeltError, bootMs: number): void {
    if (this.#saidWaiting) return;
    this.#saidWaiting = true;
    this.#ctx.ui.note(`${error.message}; it may be booting, waiting up to ${bootMs / 1_000} s`);
  }

  /** Pins what was met for the first time, and says so. Where another belt holds the lock, the next line pins it. */
  async pinNewKeys(): Promise<void> {
    if (this.#met.size === 0) return;
    const pinnedAt = new Date(this.#ctx.ports.now()).toISOString();
    try {
      await this.#ctx.change(({ store }) => store.change((state) => {
        for (const [name, key] of this.#met) if (state.machines[name] !== undefined) state.hostKeys[name] ??= { keys: [key], source: 'first-sight', pinnedAt };
      }));
    } catch (error) {
      if (!isBeltError(error, 'locked')) throw error;
      this.#ctx.ui.note('host keys were not pinned: another belt is changing the cluster');
      return;
    }
    this.#ctx.ui.note(`host ${this.#met.size === 1 ? `key of ${[...this.#met.keys()][0]}` : `keys of ${this.#met.size} machines`} pinned at first sight`);
  }
}
