/** What the client promises, against any SSH server: run with OpenSSH's and with our own. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isBeltError, type BeltError } from '../../src/errors.ts';
import { connectSsh, loadPrivateKey, type SshConnection, type SshConnectOptions } from '../../src/ssh/client.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';
import { readLines } from '../../src/ssh/lines.ts';
import { runOnTerminal } from '../../src/ssh/terminal.ts';

export interface SuiteServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Public host key line. */
  readonly hostKey: string;
}

export async function errorOf(promise: Promise<unknown>): Promise<BeltError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isBeltError(error)) throw new Error(`expected a BeltError, got ${String(error)}`);
  return error;
}

export function clientSuite(name: string, start: (authorizedKey: string) => Promise<SuiteServer>, skipped: string | false = false, noTerminal: string | false = false): void {
  describe.skipIf(skipped !== false)(skipped === false ? `ssh client against ${name}` : `ssh client against ${name} (skipped: ${skipped})`, () => {
    const pair = generateSshKeyPair('suite');
    let server: SuiteServer;
    let connection: SshConnection;
    const options = (): SshConnectOptions => ({ host: server.host, port: server.port, user: server.user, privateKey: pair.privateKey, hostKey: 'first-sight', machine: 'node1' });
    beforeAll(async () => {
      server = await start(pair.publicKey);
      connection = await connectSsh(options());
    });
    afterAll(async () => {
      await connection?.close();
      await server?.[Symbol.asyncDispose]();
    });

    test('reports the host key as OpenSSH writes it', () => {
      expect(connection.hostKey.openssh).toBe(server.hostKey);
      const digest = createHash('sha256').update(Buffer.from(server.hostKey.split(' ')[1] as string, 'base64'));
      expect(connection.hostKey.fingerprint).toBe(`SHA256:${digest.digest('base64').replace(/=/g, '')}`);
    });

    test('a pinned key is accepted, a changed one refused with both fingerprints', async () => {
      const again = await connectSsh({ ...options(), hostKey: { pinned: [`${server.hostKey} comment`] }, privateKey: loadPrivateKey(pair.privateKey) });
      await again.close();
      const error = await errorOf(connectSsh({ ...options(), hostKey: { pinned: [generateSshKeyPair('other').publicKey] } }));
      expect(error).toMatchObject({ code: 'host_key_changed', machine: 'node1', retryable: false });
      expect(error.message).toContain(connection.hostKey.fingerprint);
    });

    test.each([
      ['exit 0', 0],
      ['exit 3', 3],
      ['false', 1],
      ['no-such-command-anywhere', 127],
    ])('%s ends with code %i', async (command, code) => {
      expect(await connection.exec(command)).toMatchObject({ code, signal: null });
    });

    test('a command ended by a signal says which', async () => {
      expect(await connection.exec('kill -TERM $$')).toMatchObject({ code: null, signal: 'SIGTERM' });
    });

    test('stdin, stdout and stderr go their own ways', async () => {
      expect(await connection.exec('cat; echo problem >&2', { stdin: 'in and out é' })).toMatchObject({ stdout: 'in and out é', stderr: 'problem\n' });
    });

    test('nothing on stdin is the end of it', async () => {
      expect(await connection.exec('cat; echo done')).toMatchObject({ stdout: 'done\n' });
    });

    test('ten megabytes there and back from a stream', async () => {
      const source = new PassThrough();
      const running = connection.exec('cksum', { stdin: source });
      for (let index = 0; index < 160; index += 1) if (!source.write(Buffer.alloc(65_536, index))) await once(source, 'drain');
      source.end();
      expect((await running).stdout).toMatch(/ 10485760/);
      const back = await connection.exec('head -c 10485760 /dev/zero | tr "\\0" x');
      expect(back.stdout.length).toBe(10_485_760);
    });

    test('a command that does not read its stdin is no error', async () => {
      expect(await connection.exec('exit 4', { stdin: Buffer.alloc(8 * 1024 * 1024) })).toMatchObject({ code: 4 });
    });

    test('more output than allowed ends it', async () => {
      expect((await errorOf(connection.exec('yes', { maxOutputBytes: 100_000 }))).code).toBe('remote_command');
    });

    test('too slow is a timeout, and the connection lives on', async () => {
      expect((await errorOf(connection.exec('exec sleep 60', { timeoutMs: 100 }))).code).toBe('timeout');
      expect(await connection.exec('echo still here')).toMatchObject({ stdout: 'still here\n' });
    });

    test('a signal of the caller interrupts', async () => {
      const stop = new AbortController();
      const running = errorOf(connection.exec('echo up; exec sleep 60', { signal: stop.signal }));
      stop.abort();
      expect((await running).code).toBe('interrupted');
      expect((await errorOf(connection.exec('true', { signal: AbortSignal.abort() }))).code).toBe('interrupted');
    });

    test('a conversation: the script asks, we answer, on one channel', async () => {
      const stream = await connection.stream('for i in 1 2 3; do echo "question $i"; read answer; echo "heard $answer"; done; exit 9');
      const heard: string[] = [];
      for await (const line of readLines(stream.stdout)) {
        if (line.startsWith('question')) stream.stdin.write(`answer ${line.slice(9)}\n`);
        else heard.push(line);
      }
      expect(heard).toEqual(['heard answer 1', 'heard answer 2', 'heard answer 3']);
      expect(await stream.exit).toEqual({ code: 9, signal: null });
    });

    test('no exit status is missed, however fast a command ends', async () => {
      for (let index = 0; index < 40; index += 1) expect((await connection.exec(`exit ${index}`)).code).toBe(index);
    });

    test('two rounds of eight commands at once on one connection', async () => {
      for (const from of [0, 10]) {
        const results = await Promise.all(Array.from({ length: 8 }, (_, index) => connection.exec(`echo ${from + index}`)));
        expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 8 }, (_, index) => `${from + index}\n`));
      }
    });

    test.skipIf(noTerminal !== false)(`a terminal has a size, which follows the window, and gives the exit code${noTerminal === false ? '' : ` (skipped: ${noTerminal})`}`, async () => {
      const stdin = new PassThrough();
      const stdout = Object.assign(new PassThrough(), { columns: 100, rows: 30, isTTY: true });
      const running = runOnTerminal(connection, 'stty size; trap "stty size; exit 5" WINCH; echo ready; while :; do sleep 0.02; done', { stdin, stdout, stderr: new PassThrough() }, { pty: true });
      let said = '';
      stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (!said.endsWith('ready\r\n')) return;
        Object.assign(stdout, { columns: 120, rows: 40 });
        stdout.emit('resize');
      });
      expect((await running).code).toBe(5);
      expect(said.split('\r\n')).toEqual(['30 100', 'ready', '40 120', '']);
    });

    test('a terminal whose reader went away hangs up', async () => {
      const stdout = new PassThrough();
      const running = runOnTerminal(connection, 'yes', { stdin: new PassThrough(), stdout, stderr: new PassThrough() }, { pty: 'auto' });
      await once(stdout, 'readable');
      stdout.destroy();
      await running.catch((error: unknown) => expect(isBeltError(error, 'unreachable')).toBe(true));
    });

    test('another key is refused: ssh_auth, which may be tried again', async () => {
      expect(await errorOf(connectSsh({ ...options(), privateKey: generateSshKeyPair('stranger').privateKey }))).toMatchObject({ code: 'ssh_auth', retryable: true, machine: 'node1' });
    });

    test('another user is refused', async () => {
      expect((await errorOf(connectSsh({ ...options(), user: 'nobody-of-that-name' }))).code).toBe('ssh_auth');
    });

    test('a connection that is closed fails its commands as unreachable', async () => {
      const other = await connectSsh(options());
      const stream = await other.stream('sleep 60');
      await other.close();
      expect((await errorOf(stream.exit)).code).toBe('unreachable');
      expect((await errorOf(other.exec('true'))).code).toBe('unreachable');
      await other.closed;
    });
  });
}
