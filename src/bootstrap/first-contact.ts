/**
 * First contact where the cloud takes user data: a throw-away host key put on the machines of one order, believed once, and replaced by a key
 * that each machine makes itself. Whoever dies in between finds either key pinned and goes on.
 */
import { BeltError } from '../errors.ts';
import type { HostKeyRecord } from '../inventory/state.ts';
import type { Machine } from '../provision/driver.ts';
import { parseHostKey } from '../ssh/host-key.ts';
import { generateSshKeyPair } from '../ssh/key-pair.ts';
import { quoteWord } from '../ssh/quote.ts';
import { renderFile, renderShell } from './render.ts';

/** What an order's machines get and show. */
export interface Contact {
  /** The public line of the key they will show. */
  readonly hostKey: string;
  /** Cloud-init user data with its private half. */
  readonly userData: string;
}

/** A fresh throw-away key and the user data that carries it, with the public keys that may log in. */
export function makeContact(logins: readonly string[]): Contact {
  const { privateKey, publicKey } = generateSshKeyPair('throw-away');
  // JSON's strings are YAML's: line breaks become \n.
  const variables = { private_key: JSON.stringify(privateKey), public_key: JSON.stringify(publicKey), authorized_keys: JSON.stringify(logins.map((key) => key.trim())) };
  return { hostKey: publicKey, userData: renderFile('cloud-init.yaml', variables) };
}

/** How long making a key may take on a machine that has just booted, milliseconds. */
const KEY_MS = 60_000;
const FOLDER = '/etc/ssh';
/** Only the listener reads its keys again; the connection that asks for it lives on. */
const RELOAD = 'if command -v systemctl >/dev/null; then systemctl reload ssh 2>/dev/null || systemctl reload sshd; else kill -HUP "$(cat /run/sshd.pid)"; fi';

interface Executes {
  exec(command: string, options?: { readonly timeoutMs?: number }): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

export interface OwnKeyOrder {
  readonly machine: Pick<Machine, 'name' | 'sshUser'>;
  /** The connection that the throw-away key vouched for. */
  readonly connection: Executes;
  readonly injected: readonly string[];
  /** Puts the record on disk. */
  readonly pin: (record: HostKeyRecord) => Promise<void>;
  readonly now: () => number;
  /** Where sshd keeps its keys and how it is told of new ones; for tests. */
  readonly place?: { readonly folder: string; readonly reload: string };
}

/** Has the machine make a host key of its own, pins it beside the throw-away one, puts it in place, and pins it alone. Throws `remote_command`. */
export async function takeOwnKey(order: OwnKeyOrder): Promise<void> {
  const { machine, connection, injected, pin } = order;
  const { folder, reload } = order.place ?? { folder: FOLDER, reload: RELOAD };
  const run = async (act: 'make' | 'swap'): Promise<string> => {
    const script = renderShell('bootstrap/host-key.sh', { folder, act, reload });
    const { code, stdout, stderr } = await connection.exec(`${machine.sshUser === 'root' || order.place !== undefined ? '' : 'sudo -n '}sh -c ${quoteWord(script)}`, { timeoutMs: KEY_MS });
    if (code === 0) return stdout;
    throw new BeltError('remote_command', `${machine.name} could not make a host key of its own: ${stderr.trim().split('\n').at(-1) ?? ''}`, { machine: machine.name, next: 'run it again' });
  };
  const own = parseHostKey((await run('make')).trim()).openssh;
  const pinnedAt = new Date(order.now()).toISOString();
  await pin({ keys: [own, ...injected.filter((key) => parseHostKey(key).openssh !== own)], source: 'injected', pinnedAt });
  await run('swap');
  await pin({ keys: [own], source: 'bootstrap', pinnedAt });
}
