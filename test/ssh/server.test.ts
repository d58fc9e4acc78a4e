import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { connectSsh } from '../../src/ssh/client.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';
import { readLines } from '../../src/ssh/lines.ts';
import { startSshServer, type SshServer } from '../../src/ssh/server.ts';
import { clientSuite, errorOf } from './client.suite.ts';

interface Place {
  readonly folder: string;
  readonly server: SshServer;
  readonly hostKey: string;
}

const ENV = { PATH: '/usr/local/bin:/usr/bin:/bin', SHELL: '/bin/sh', BELT_MACHINE: 'm1' };

async function startPlace(authorizedKeys: string): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'belt-ssh-'));
  writeFileSync(join(folder, 'authorized_keys'), `# who may\n\n${authorizedKeys}\n`);
  const server = await startSshServer({ address: '127.0.0.1', port: 0, user: 'operator', hostKeyFile: join(folder, 'host_key'), authorizedKeysFile: join(folder, 'authorized_keys'), home: folder, env: ENV });
  const hostKey = spawnSync('ssh-keygen', ['-y', '-f', join(folder, 'host_key')], { encoding: 'utf8' });
  return { folder, server, hostKey: hostKey.stdout.trim().split(' ').slice(0, 2).join(' ') };
}

clientSuite('our own server', async (authorizedKey) => {
  const { folder, server, hostKey } = await startPlace(authorizedKey);
  const stop = async (): Promise<void> => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { host: '127.0.0.1', port: server.port, user: 'operator', hostKey, [Symbol.asyncDispose]: stop };
});

describe('our server', () => {
  const pair = generateSshKeyPair('test');
  const places: Place[] = [];
  const place = async (): Promise<Place> => {
    const one = await startPlace(pair.publicKey);
    places.push(one);
    return one;
  };
  const connect = (server: SshServer, timeoutMs = 10_000): ReturnType<typeof connectSsh> =>
    connectSsh({ host: server.address, port: server.port, user: 'operator', privateKey: pair.privateKey, hostKey: 'first-sight', timeoutMs });
  afterEach(async () => {
    for (const { server, folder } of places.splice(0)) {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('commands start at home and see nothing of our environment', async () => {
    const { server, folder } = await place();
    await using connection = await connect(server);
    const { stdout } = await connection.exec('pwd; echo $HOME; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= | cut -d= -f1 | sort | tr "\\n" " "');
    expect(stdout.split('\n')).toEqual([folder, folder, 'BELT_MACHINE HOME PATH SHELL ']);
  });

  test('the host key stays over a restart, in a file only we can read', async () => {
    const { folder, server } = await place();
    await using connection = await connect(server);
    expect(spawnSync('stat', ['-c', '%a', join(folder, 'host_key')], { encoding: 'utf8' }).stdout).toBe('600\n');
    const again = await startSshServer({ address: '127.0.0.2', port: 0, user: 'operator', hostKeyFile: join(folder, 'host_key'), authorizedKeysFile: join(folder, 'authorized_keys'), home: folder, env: ENV });
    const other = await connect(again);
    expect(other.hostKey).toEqual(connection.hostKey);
    await other.close();
    await again.close();
  });

  test('a key taken from the file lets nobody in any more; no file lets nobody in', async () => {
    const { server, folder } = await place();
    writeFileSync(join(folder, 'authorized_keys'), '');
    expect((await errorOf(connect(server))).code).toBe('ssh_auth');
    rmSync(join(folder, 'authorized_keys'));
    expect((await errorOf(connect(server))).code).toBe('ssh_auth');
  });

  test('hanging up ends the command with SIGHUP, but not what made a session of its own', async () => {
    const { server, folder } = await place();
    const connection = await connect(server);
    const marks = `${folder}/marks`;
    const stream = await connection.stream(`mkfifo ${marks}; trap 'echo hup > ${marks}' HUP; setsid sleep 60 >/dev/null 2>&1 & echo $!; echo up; wait; wait`);
    const lines: string[] = [];
    for await (const line of readLines(stream.stdout)) {
      lines.push(line);
      if (line === 'up') break;
    }
    void connection.close();
    await waitForHup(marks);
    const daemon = Number(lines[0]);
    expect(existsSync(`/proc/${daemon}`)).toBe(true);
    process.kill(daemon, 'SIGKILL');
  });

  test('a frozen machine accepts and does not answer; thawed, it goes on where it stood', async () => {
    const { server } = await place();
    await using connection = await connect(server);
    server.pause();
    const stalled = connection.exec('echo thawed');
    expect((await errorOf(connect(server, 200))).message).toMatch(/timed out/);
    server.resume();
    expect(await stalled).toMatchObject({ stdout: 'thawed\n' });
    await (await connect(server)).close();
  });

  test('a frozen machine cannot hold a connection that is being closed', async () => {
    const { server } = await place();
    const connection = await connect(server);
    server.pause();
    await connection.close();
    server.resume();
  });

  test('closing resets what is open', async () => {
    const { server } = await place();
    const connection = await connect(server);
    const running = errorOf(connection.exec('sleep 60'));
    await server.close();
    await connection.closed;
    expect((await running).code).toBe('unreachable');
  });

  test.skipIf(!existsSync('/usr/bin/ssh'))('OpenSSH forwards nothing through it', async () => {
    const { server, folder } = await place();
    writeFileSync(join(folder, 'key'), pair.privateKey, { mode: 0o600 });
    const { status, stderr } = await runSsh(folder, server.port, [], ['-o', 'LogLevel=INFO', '-W', '127.0.0.1:9']);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/open failed|administratively prohibited|forwarding/i);
  });

  test.skipIf(!existsSync('/usr/bin/ssh'))('OpenSSH logs in, with and without a terminal', async () => {
    const { server, folder } = await place();
    writeFileSync(join(folder, 'key'), pair.privateKey, { mode: 0o600 });
    expect(await runSsh(folder, server.port, ['echo out; echo err >&2; exit 6'])).toMatchObject({ status: 6, stdout: 'out\n', stderr: 'err\n' });
    expect(await runSsh(folder, server.port, ['tty; exit 7'], ['-tt'])).toMatchObject({ status: 7, stdout: expect.stringMatching(/^\/dev\/pts\//) });
    expect(readFileSync(join(folder, 'known'), 'utf8')).toContain('ssh-ed25519');
  });
});

/** Opening a FIFO to read waits for its writer: the trap. */
async function waitForHup(fifo: string): Promise<void> {
  const file = await open(fifo, 'r');
  expect(await file.readFile('utf8')).toBe('hup\n');
  await file.close();
}

/** OpenSSH's client, not waiting synchronously: the server is in this process. */
async function runSsh(folder: string, port: number, words: readonly string[], flags: readonly string[] = []): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const settings = ['StrictHostKeyChecking=accept-new', `UserKnownHostsFile=${folder}/known`, `IdentityFile=${folder}/key`, `Port=${port}`];
  const child = spawn('ssh', ['-F', 'none', ...flags, '-o', 'LogLevel=ERROR', ...settings.flatMap((setting) => ['-o', setting]), 'operator@127.0.0.1', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { status: status as number | null, stdout, stderr };
}
