/** A real OpenSSH server for tests: own configuration and keys, on loopback, as whoever runs the test. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { readLines } from '../../src/ssh/lines.ts';

export interface TestSshd extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly pid: number;
  /** Public host keys by type, OpenSSH lines without comment. */
  readonly hostKeys: Readonly<Record<string, string>>;
}

const PROGRAM = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));

/** Why there is no OpenSSH server to test against, or false. */
export const SSHD_MISSING: string | false = PROGRAM === undefined ? 'OpenSSH server is not installed (apt-get install openssh-server)' : false;

export interface SshdOptions {
  readonly authorizedKeys: readonly string[];
  readonly hostKeyTypes?: readonly ('ed25519' | 'ecdsa' | 'rsa')[];
  readonly addresses?: readonly string[];
  readonly extra?: readonly string[];
}

export async function startSshd({ authorizedKeys, hostKeyTypes = ['ed25519'], addresses = ['127.0.0.1'], extra = [] }: SshdOptions): Promise<TestSshd> {
  const folder = mkdtempSync(join(tmpdir(), 'belt-sshd-'));
  const port = await freePort();
  const hostKeys = Object.fromEntries(hostKeyTypes.map((type) => [type, makeHostKey(folder, type)]));
  writeFileSync(join(folder, 'authorized_keys'), authorizedKeys.join('\n'), { mode: 0o600 });
  const config = [
    `Port ${port}`,
    ...addresses.map((address) => `ListenAddress ${address}`),
    ...hostKeyTypes.map((type) => `HostKey ${join(folder, type)}`),
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    `PidFile none`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'MaxStartups 500',
    // The default of 10 also counts sessions whose command is just being ended.
    'MaxSessions 50',
    ...extra,
  ];
  writeFileSync(join(folder, 'sshd_config'), `${config.join('\n')}\n`);
  // Its privilege separation wants this folder when it is root; the Debian service makes it.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const child = spawn(PROGRAM as string, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] });
  await listening(child, addresses.length);
  const stop = async (): Promise<void> => {
    const ended = once(child, 'exit');
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  return { host: addresses[0] as string, port, user: userInfo().username, pid: child.pid as number, hostKeys, [Symbol.asyncDispose]: stop };
}

function makeHostKey(folder: string, type: string): string {
  const file = join(folder, type);
  const made = spawnSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', file], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  const shown = spawnSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
  return shown.stdout.trim().split(' ').slice(0, 2).join(' ');
}

async function listening(child: ChildProcess, count: number): Promise<void> {
  const said: string[] = [];
  let seen = 0;
  for await (const line of readLines(child.stderr as NonNullable<typeof child.stderr>)) {
    said.push(line);
    if (/Server listening/.test(line)) seen += 1;
    if (seen === count) break;
  }
  if (seen < count) throw new Error(`sshd does not start: ${said.join(' | ')}`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
