import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BeltError } from '../../src/errors.ts';
import { loadPrivateKey } from '../../src/ssh/client.ts';
import { checkHostKey, hostKeyAlgorithms, hostKeyOf, parseHostKey } from '../../src/ssh/host-key.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';

const hasKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined;
const bare = (line: string): string => line.split(' ').slice(0, 2).join(' ');

describe('key pairs', () => {
  test('hundreds of them, so that some begin with a zero byte (1 in 256), are read back as they were made', () => {
    for (let index = 0; index < 600; index += 1) {
      const pair = generateSshKeyPair('');
      expect(loadPrivateKey(pair.privateKey).publicKey).toBe(pair.publicKey);
    }
  });

  test.skipIf(!hasKeygen)('ssh-keygen agrees on public key, comment and fingerprint', () => {
    const folder = mkdtempSync(join(tmpdir(), 'belt-key-'));
    const pair = generateSshKeyPair('belt cluster\nswarm2k');
    writeFileSync(join(folder, 'key'), pair.privateKey, { mode: 0o600 });
    const shown = spawnSync('ssh-keygen', ['-y', '-f', join(folder, 'key')], { encoding: 'utf8' });
    const print = spawnSync('ssh-keygen', ['-l', '-f', join(folder, 'key')], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    expect(shown.stdout.trim()).toBe(pair.publicKey);
    expect(pair.publicKey).toMatch(/ belt cluster swarm2k$/);
    expect(print.stdout).toContain(` ${parseHostKey(pair.publicKey).fingerprint} `);
  });
});

describe('host keys', () => {
  const known = generateSshKeyPair('a').publicKey;
  const other = generateSshKeyPair('b').publicKey;

  test('first sight takes any; a pin takes its own, with or without a comment; one of several is enough', () => {
    for (const policy of ['first-sight', { pinned: [known] }, { pinned: [bare(known)] }, { pinned: [other, known] }] as const) {
      expect(() => checkHostKey(policy, parseHostKey(known), 'node1')).not.toThrow();
    }
  });

  test('any other is refused with both fingerprints and the way out', () => {
    try {
      checkHostKey({ pinned: [known] }, parseHostKey(other), 'node1');
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'host_key_changed', machine: 'node1', next: expect.stringContaining('node1') });
      for (const key of [known, other]) expect((error as BeltError).message).toContain(parseHostKey(key).fingerprint);
    }
  });

  test('an empty list of pins accepts nothing', () => {
    expect(() => checkHostKey({ pinned: [] }, parseHostKey(known), 'node1')).toThrow('pinned is none');
  });

  test.each(['', 'ssh-ed25519', 'ssh-ed25519 AAAA', `ssh-rsa ${known.split(' ')[1]}`, 'ssh-ed25519 !!!'])('%j is no key', (line) => {
    expect(() => parseHostKey(line)).toThrow('not an OpenSSH public key');
  });

  test.each([Buffer.alloc(0), Buffer.alloc(3), Buffer.from([255, 255, 255, 255]), Buffer.from([0, 0, 0, 9, 1])])('what a server sends is checked: %j', (blob) => {
    expect(() => hostKeyOf(blob)).toThrow(BeltError);
  });

  test('the pinned type is asked for first, SHA-1 never', () => {
    expect(hostKeyAlgorithms('first-sight')[0]).toBe('ssh-ed25519');
    const blob = Buffer.concat([Buffer.from([0, 0, 0, 7]), Buffer.from('ssh-rsa'), Buffer.alloc(8)]);
    expect(hostKeyAlgorithms({ pinned: [`ssh-rsa ${blob.toString('base64')}`] }).slice(0, 2)).toEqual(['rsa-sha2-512', 'rsa-sha2-256']);
    expect(hostKeyAlgorithms('first-sight')).not.toContain('ssh-rsa');
  });
});
