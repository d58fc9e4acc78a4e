/** The throw-away host key and the machine's own, on a real OpenSSH server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { type Contact, makeContact, takeOwnKey } from '../../src/bootstrap/first-contact.ts';
import type { HostKeyRecord } from '../../src/inventory/state.ts';
import { loadPrivateKey, type SshConnection } from '../../src/ssh/client.ts';
import { parseHostKey } from '../../src/ssh/host-key.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';
import { waitForSsh } from '../../src/ssh/wait.ts';
import { SSHD_MISSING, startSshd, type TestSshd } from '../ssh/sshd.ts';

interface UserData {
  readonly ssh_deletekeys: boolean;
  readonly ssh_keys: { readonly ed25519_private: string; readonly ed25519_public: string };
  readonly ssh_authorized_keys: readonly string[];
}

const LOGINS = ['ssh-ed25519 AAAAcluster belt', 'ssh-rsa AAAAyou# "you" <you@example.com>'];

it('the user data carries one fresh key and all that may log in, in the words of cloud-init, small enough for every cloud', () => {
  const contact = makeContact(LOGINS);
  expect(contact.userData.startsWith('#cloud-config\n')).toBe(true);
  const { ssh_keys: keys, ssh_deletekeys: deleted, ssh_authorized_keys: logins } = parse(contact.userData) as UserData;
  expect([deleted, keys.ed25519_public, logins]).toEqual([true, contact.hostKey, LOGINS]);
  expect(loadPrivateKey(keys.ed25519_private).publicKey).toBe(parseHostKey(contact.hostKey).openssh);
  expect(makeContact(LOGINS).hostKey).not.toBe(contact.hostKey);
  expect(contact.userData.length).toBeLessThan(2_000);
});

describe.skipIf(SSHD_MISSING !== false)(`a machine's own host key${SSHD_MISSING === false ? '' : ` (${SSHD_MISSING})`}`, () => {
  let folder: string;
  let sshd: TestSshd;
  let contact: Contact;
  const login = generateSshKeyPair('login');
  beforeEach(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'belt-etc-ssh-'));
    contact = makeContact(LOGINS);
    const { ssh_keys: keys } = parse(contact.userData) as UserData;
    writeFileSync(path.join(folder, 'ssh_host_ed25519_key'), keys.ed25519_private, { mode: 0o600 });
    writeFileSync(path.join(folder, 'ssh_host_ed25519_key.pub'), `${keys.ed25519_public}\n`);
    sshd = await startSshd({ authorizedKeys: [login.publicKey], hostKeyTypes: [], extra: [`HostKey ${path.join(folder, 'ssh_host_ed25519_key')}`] });
  });
  afterEach(async () => {
    await sshd[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  const connect = (pinned: readonly string[]): Promise<SshConnection> =>
    waitForSsh({ host: sshd.host, port: sshd.port, user: sshd.user, privateKey: loadPrivateKey(login.privateKey), machine: 'node1', signal: new AbortController().signal, budgetMs: 10_000, hostKey: { pinned } });
  const take = async (injected: readonly string[], pin: (record: HostKeyRecord) => Promise<void>): Promise<void> => {
    const connection = await connect(injected);
    try {
      await takeOwnKey({ machine: { name: 'node1', sshUser: sshd.user }, connection, injected, pin, now: () => 0, place: { folder, reload: `kill -HUP ${sshd.pid}` } });
    } finally {
      await connection.close();
    }
  };

  it('replaces the throw-away key: both are believed while it changes, its own alone afterwards', async () => {
    const pinned: HostKeyRecord[] = [];
    await take([contact.hostKey], async (record) => void pinned.push(record));
    const own = pinned[1]?.keys[0] as string;
    expect(pinned.map(({ keys, source }) => [keys, source])).toEqual([[[own, contact.hostKey], 'injected'], [[own], 'bootstrap']]);
    await expect(connect([contact.hostKey])).rejects.toMatchObject({ code: 'host_key_changed' });
    const connection = await connect([own]);
    expect(connection.hostKey.openssh).toBe(own);
    await connection.close();
  });

  it.each([['before the key is in place', 0], ['after it is in place', 1]])('a belt that dies %s is followed by one that ends it with the same key', async (_title, dies) => {
    let record: HostKeyRecord = { keys: [contact.hostKey], source: 'injected', pinnedAt: '' };
    let saves = 0;
    const dying = take(record.keys, async (next) => {
      if (saves++ === dies) throw new Error('killed');
      record = next;
    });
    await expect(dying).rejects.toThrow('killed');
    const first = record.keys[0];
    await take(record.keys, async (next) => void (record = next));
    expect([record.source, record.keys.length]).toEqual(['bootstrap', 1]);
    if (dies === 1) expect(record.keys[0]).toBe(first);
    await (await connect(record.keys)).close();
  });
});
