import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { createAuthority, exportKey, loadAuthority, readPem, signCsr, type Authority, type Issued, type SignOptions } from '../../src/certs/authority.ts';
import { createCsr, keyOfCsr, newKey } from '../../src/certs/csr.ts';
import { bits, decode, encode, fromPem, integer, octets, oid, sequence, tagged, time, toPem } from '../../src/certs/der.ts';
import { factsOf, keyDigest, splitPem, verifyCertificate } from '../../src/certs/identity.ts';
import { caDigest, formatToken, newSecret, parseToken, sameSecret } from '../../src/certs/join-token.ts';
import { LIFETIME_MS, type Identity, type Role } from '../../src/certs/profiles.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const CLUSTER = '0123456789abcdef0123456789abcdef';
const OTHER = 'fedcba9876543210fedcba9876543210';
const DAY = 86_400_000;
const ca = createAuthority(CLUSTER, NOW);
const { key } = newKey();
const csr = createCsr(key, 'whoever');
const issue = (identity: Partial<Identity> = {}, options: Partial<SignOptions> = {}, authority: Authority = ca): Issued =>
  signCsr(authority, csr, { cluster: authority.cluster, role: 'worker', name: 'node1', ...identity }, { nowMs: NOW, ...options });

const folder = mkdtempSync(join(tmpdir(), 'belt-certs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

describe('OpenSSL, as someone else who reads X.509', () => {
  it('verifies what we sign, strictly', () => {
    const at = String(NOW / 1000);
    expect(openssl('verify', '-x509_strict', '-attime', at, '-CAfile', file('ca.pem', ca.certificate), file('leaf.pem', issue({}, { hosts: ['10.0.0.1', '::1', 'node1'] }).certificate))).toContain('OK');
  });

  it('reads the names, the addresses and the usages as they were meant', () => {
    const text = openssl('x509', '-in', file('leaf2.pem', issue({ role: 'manager', name: 'mg0' }, { hosts: ['10.0.0.1', 'fe80::1:2', 'mg0'] }).certificate), '-noout', '-text');
    expect(text).toContain(`URI:belt://${CLUSTER}/manager/mg0, IP Address:10.0.0.1, IP Address:FE80:0:0:0:0:0:1:2, DNS:mg0`);
    expect(text).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toContain('Not Before: Nov 21 11:55:00 2026 GMT');
  });

  it('verifies our requests, and we take its own', () => {
    openssl('req', '-in', file('our.csr', csr), '-noout', '-verify');
    const theirs = join(folder, 'their.key');
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', theirs);
    expect(keyOfCsr(openssl('req', '-new', '-key', theirs, '-subj', '/CN=me'))).toHaveLength(91);
  });

  it('reads an encrypted CA key with the passphrase', () => {
    const path = file('ca.key', exportKey(ca, 'open sesame'));
    expect(openssl('pkey', '-in', path, '-passin', 'pass:open sesame', '-noout', '-text')).toContain('P-256');
  });
});

describe('requests', () => {
  const broken = (change: (der: Buffer) => void): string => {
    const der = fromPem(csr, 'CERTIFICATE REQUEST') as Buffer;
    change(der);
    return toPem(der, 'CERTIFICATE REQUEST');
  };
  const rsa = (): string => {
    const path = join(folder, 'rsa.key');
    writeFileSync(path, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return openssl('req', '-new', '-key', path, '-subj', '/CN=me');
  };

  it.each([
    ['nothing', () => '', 'it is not a certificate request'],
    ['a certificate', () => ca.certificate, 'it is not a certificate request'],
    ['far too much', () => csr + ' '.repeat(5000), 'it is not a certificate request'],
    ['a changed key', () => broken((der) => void (der[120] = (der[120] as number) ^ 1)), /its signature does not hold|it is malformed/],
    ['a changed signature', () => broken((der) => void (der[der.length - 1] = (der[der.length - 1] as number) ^ 1)), 'its signature does not hold'],
    ['half a request', () => toPem((fromPem(csr, 'CERTIFICATE REQUEST') as Buffer).subarray(0, 100), 'CERTIFICATE REQUEST'), 'it is malformed'],
    ['an RSA key', rsa, /its key is not a P-256 key|it is malformed/],
  ])('refuses %s', (_name, make, why) => {
    expect(() => keyOfCsr(make())).toThrow(why);
  });
});

describe('identities', () => {
  it.each(['operator', 'machine', 'worker', 'manager'] as Role[])('%s: says who it is and lives as long as its role', (role) => {
    const facts = factsOf(readPem(issue({ role, name: 'x-1.y' }).certificate));
    expect(facts).toMatchObject({ cluster: CLUSTER, role, name: 'x-1.y', notAfter: NOW + LIFETIME_MS[role] });
    expect(facts.serial).toMatch(/^[0-9a-f]{32}$/);
  });

  it('is recorded as it is read', () => {
    const issued = issue();
    const { serial, fingerprint, notBefore, notAfter } = factsOf(readPem(issued.certificate));
    expect({ serial, fingerprint, notBefore, notAfter, certificate: issued.certificate }).toEqual(issued);
  });

  it('never takes the subject a request asks for', () => {
    expect(readPem(issue().certificate).subject).toBe(`O=${CLUSTER}\nOU=worker\nCN=node1`);
  });

  it.each([['a/b'], [''], ['a b'], ['x'.repeat(65)], ['-a']])('does not put %j in a certificate', (name) => {
    expect(() => issue({ name })).toThrow();
  });

  it('signs for its own cluster only', () => {
    expect(() => signCsr(ca, csr, { cluster: OTHER, role: 'worker', name: 'a' }, { nowMs: NOW })).toThrow();
  });
});

describe('verifyCertificate', () => {
  const other = createAuthority(OTHER, NOW);
  const impostor = createAuthority(CLUSTER, NOW);
  const x509 = (issued: Issued): X509Certificate => readPem(issued.certificate);
  const good = issue();
  const expected = { nowMs: NOW, roots: [ca.certificate], cluster: CLUSTER };

  it.each([
    ['the right one', x509(good), expected, null],
    ['another cluster', x509(issue({}, {}, other)), expected, 'the certificate of worker node1 is of another cluster (fedcba98…, not 01234567…)'],
    ['a CA that only claims to be ours', x509(issue({}, {}, impostor)), expected, "the certificate of worker node1 is not signed by the cluster's CA"],
    ['expired', x509(good), { ...expected, nowMs: NOW + 30 * DAY }, 'the certificate of worker node1 has expired (2026-12-21 12:00 UTC)'],
    ['expired a moment ago', x509(good), { ...expected, nowMs: NOW + 30 * DAY - 1 }, null],
    ['not yet valid', x509(good), { ...expected, nowMs: NOW - 300_001 }, 'the certificate of worker node1 is not valid before 2026-11-21 11:55 UTC'],
    ['a clock five minutes behind', x509(good), { ...expected, nowMs: NOW - 300_000 }, null],
    ['revoked', x509(good), { ...expected, revoked: new Set([good.serial]) }, 'the certificate of worker node1 is revoked'],
    ['another role', x509(good), { ...expected, roles: ['manager', 'operator'] as Role[] }, 'the certificate of worker node1 is not one of a manager or operator'],
    ['another name', x509(good), { ...expected, name: 'node2' }, 'the certificate of worker node1 is not the one of node2'],
    ['the CA itself', readPem(ca.certificate), expected, 'the certificate names nobody of a belt cluster'],
    ['one of two roots', x509(issue({}, {}, impostor)), { ...expected, roots: [ca.certificate, impostor.certificate] }, null],
    ['expired, but its key is pinned', x509(good), { ...expected, nowMs: NOW + 31 * DAY, pinnedKey: keyDigest(x509(good)) }, null],
    ['expired, and another key is pinned', x509(good), { ...expected, nowMs: NOW + 31 * DAY, pinnedKey: '00' }, 'the certificate of worker node1 has expired (2026-12-21 12:00 UTC)'],
  ])('%s', (_name, certificate, expectation, why) => {
    if (why === null) expect(verifyCertificate(certificate, expectation).name).toBe('node1');
    else expect(() => verifyCertificate(certificate, expectation)).toThrow(expect.objectContaining({ code: 'certificate', message: why }));
  });
});

describe('the CA', () => {
  it('is read back with its key, in clear and under a passphrase', () => {
    for (const passphrase of [undefined, 'pass phrase']) {
      const again = loadAuthority(ca.certificate, exportKey(ca, passphrase), passphrase);
      expect(factsOf(readPem(issue({}, {}, again).certificate)).cluster).toBe(CLUSTER);
    }
  });

  it.each([
    ['a missing passphrase', () => loadAuthority(ca.certificate, exportKey(ca, 'a')), 'it is encrypted and no passphrase was given'],
    ['a wrong passphrase', () => loadAuthority(ca.certificate, exportKey(ca, 'a'), 'b'), 'the passphrase is wrong'],
    ['a damaged key', () => loadAuthority(ca.certificate, exportKey(ca).replace(/-\n.{8}/, '-\n')), 'it is damaged'],
    ["another CA's key", () => loadAuthority(ca.certificate, exportKey(createAuthority(CLUSTER, NOW))), 'do not belong together'],
    ['a leaf for a CA', () => loadAuthority(issue().certificate, key.export({ type: 'pkcs8', format: 'pem' }) as string), 'do not belong together'],
  ])('refuses %s', (_name, act, why) => {
    expect(act).toThrow(why);
  });

  it('splits a bundle', () => {
    const two = createAuthority(CLUSTER, NOW, 2);
    expect(splitPem(`${ca.certificate}\n${two.certificate}`).map(caDigest)).toEqual([caDigest(ca.certificate), caDigest(two.certificate)]);
  });

  it('encodes what it decodes', () => {
    const der = readPem(issue().certificate).raw;
    expect(encode(decode(der)).equals(der)).toBe(true);
    expect(() => decode(Buffer.concat([der, Buffer.from([0])]))).toThrow();
  });
});

describe('DER', () => {
  it.each([
    ['a short value', octets(Buffer.alloc(127)), `047f${'00'.repeat(127)}`],
    ['a length of one byte more', octets(Buffer.alloc(128)), `048180${'00'.repeat(128)}`],
    ['a length of two bytes more', octets(Buffer.alloc(256)), `04820100${'00'.repeat(256)}`],
    ['zero', integer(Buffer.of(0)), '020100'],
    ['leading zeros', integer(Buffer.of(0, 0, 1)), '020101'],
    ['a high first bit', integer(Buffer.of(0x80)), '02020080'],
    ['bits with a rest', bits(Buffer.of(0x80), 7), '03020780'],
    ['an identifier', oid('1.2.840.10045.4.3.2'), '06082a8648ce3d040302'],
    ['a tag around items', tagged(3, [integer(Buffer.of(2))]), 'a303020102'],
    ['a tag around bytes', tagged(6, Buffer.from('a')), '860161'],
    ['a sequence', sequence(integer(Buffer.of(1)), integer(Buffer.of(2))), '3006020101020102'],
    ['the last second of UTCTime', time(Date.UTC(2049, 11, 31, 23, 59, 59, 999)), `170d${Buffer.from('491231235959Z').toString('hex')}`],
    ['the first of GeneralizedTime', time(Date.UTC(2050, 0, 1)), `180f${Buffer.from('20500101000000Z').toString('hex')}`],
  ])('%s', (_name, der, hex) => {
    expect(der.toString('hex')).toBe(hex);
    expect(encode(decode(der)).toString('hex')).toBe(hex);
  });
});

describe('join tokens', () => {
  const token = { caDigest: caDigest(ca.certificate), secret: newSecret() };

  it('carry the digest and 160 bits', () => {
    expect(parseToken(` ${formatToken(token)}\n`)).toEqual(token);
    expect(formatToken(token)).toMatch(/^BELT-1-[0-9a-f]{64}-[a-z2-7]{32}$/);
    expect(newSecret()).not.toBe(newSecret());
  });

  it.each([
    [formatToken(token).slice(0, -1), 'it is cut short or mistyped'],
    ['', 'it is cut short or mistyped'],
    [formatToken(token).toLowerCase(), 'it is cut short or mistyped'],
    ['BELT-2-x-y', 'it was made by a newer belt'],
    ['SWMTKN-1-abc-def', "it is Docker's own token, not belt's"],
  ])('refuses %j', (text, why) => {
    expect(() => parseToken(text)).toThrow(`this is not a join token: ${why}`);
  });

  it('never repeat the secret in an error', () => {
    const text = `${formatToken(token)}x`;
    expect(() => parseToken(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining(token.secret) }));
  });

  it.each([['a', 'a', true], ['a', 'b', false], ['a', 'ab', false], ['', '', true]])('sameSecret(%j, %j)', (a, b, same) => {
    expect(sameSecret(a, b)).toBe(same);
  });
});

describe('over TLS 1.3', () => {
  it('both ends see who the other is', async () => {
    const now = Date.now();
    const real = createAuthority(CLUSTER, now);
    const pair = (role: Role, name: string): { key: string; cert: string } => {
      const fresh = newKey();
      return { key: fresh.pem, cert: signCsr(real, createCsr(fresh.key, name), { cluster: CLUSTER, role, name }, { nowMs: now, hosts: ['127.0.0.1'] }).certificate };
    };
    const server = createServer({ ...pair('manager', 'mg0'), ca: real.certificate, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' });
    const seen = new Promise<string>((resolve) => server.on('secureConnection', (socket: TLSSocket) => resolve(factsOf(socket.getPeerX509Certificate() as X509Certificate).name)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const socket = connect({ port, host: '127.0.0.1', ...pair('operator', 'ann'), ca: real.certificate, minVersion: 'TLSv1.3' });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    expect(factsOf(socket.getPeerX509Certificate() as X509Certificate)).toMatchObject({ role: 'manager', name: 'mg0' });
    expect(await seen).toBe('ann');
    expect(createPublicKey(key).asymmetricKeyType).toBe('ec');
    socket.destroy();
    server.close();
  });
});
