import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { BeltError, type ErrorCode } from '../../src/errors.ts';
import { connectError, type ConnectContext } from '../../src/ssh/connect-error.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';
import { readLines } from '../../src/ssh/lines.ts';
import { nextAttempt, waitForSsh } from '../../src/ssh/wait.ts';
import { errorOf } from './client.suite.ts';

const state = (code: ErrorCode, attempt = 1, elapsedMs = 0) => ({ error: new BeltError(code, 'no'), attempt, elapsedMs, budgetMs: 60_000, machine: 'node1' });

describe('when to try again', () => {
  test.each(['unreachable', 'ssh_auth'] as const)('%s is retried while the machine boots', (code) => {
    expect(nextAttempt(state(code), 0)).toEqual({ retry: true, delayMs: 125 });
  });

  test.each(['host_key_changed', 'config', 'interrupted'] as const)('%s never is', (code) => {
    expect(nextAttempt(state(code), 0)).toMatchObject({ retry: false, error: { code } });
  });

  test.each([
    [1, 0, 125],
    [1, 0.999, 250],
    [3, 0, 500],
    [6, 0, 2_500],
    [6, 0.999, 4_998],
    [1_000_000, 0, 2_500],
  ])('attempt %i with chance %d waits %i ms', (attempt, chance, delayMs) => {
    expect(nextAttempt(state('unreachable', attempt), chance)).toEqual({ retry: true, delayMs });
  });

  test('the last attempt is when the budget ends; then the error says how long was waited', () => {
    expect(nextAttempt(state('unreachable', 20, 59_900), 0)).toEqual({ retry: true, delayMs: 100 });
    expect(nextAttempt(state('ssh_auth', 21, 60_000), 0)).toMatchObject({ retry: false, error: { code: 'ssh_auth', message: 'no (waited 60 s)' } });
  });

  test('no budget: one attempt, its own error', async () => {
    const options = { host: '127.0.0.1', port: 1, user: 'x', privateKey: generateSshKeyPair('').privateKey, hostKey: 'first-sight', budgetMs: 0 } as const;
    expect((await errorOf(waitForSsh(options))).message).toBe('cannot reach 127.0.0.1:1 over SSH: connection refused');
  });

  test('waiting ends with its signal', async () => {
    const stop = new AbortController();
    const options = { host: '127.0.0.1', port: 1, user: 'x', privateKey: generateSshKeyPair('').privateKey, hostKey: 'first-sight', budgetMs: 60_000, signal: stop.signal, onRetry: () => stop.abort() } as const;
    expect((await errorOf(waitForSsh(options))).code).toBe('interrupted');
  });
});

describe('what a failed connection means', () => {
  const context: ConnectContext = { machine: 'node1', host: '10.0.0.1', port: 22, user: 'root', interrupted: false, timedOut: false };
  test.each([
    [{ code: 'ECONNREFUSED' }, {}, 'unreachable', 'cannot reach node1 (10.0.0.1:22) over SSH: connection refused'],
    [{ code: 'EHOSTUNREACH' }, {}, 'unreachable', 'cannot reach node1 (10.0.0.1:22) over SSH: no route to host'],
    [new Error('aborted'), { timedOut: true }, 'unreachable', 'cannot reach node1 (10.0.0.1:22) over SSH: timed out'],
    [new Error('aborted'), { interrupted: true }, 'interrupted', 'interrupted while connecting to node1 (10.0.0.1:22)'],
    [Object.assign(new Error('x'), { level: 'client-authentication' }), {}, 'ssh_auth', 'node1 (10.0.0.1:22) refuses the SSH key for user root'],
    [new Error('no matching cipher'), {}, 'unreachable', 'cannot reach node1 (10.0.0.1:22) over SSH: no matching cipher'],
  ] as const)('%o %o', (error, change, code, message) => {
    expect(connectError(error, { ...context, ...change })).toMatchObject({ code, message, machine: 'node1' });
  });

  test('a key that is refused is told of with the line that lets it in', () => {
    const { next } = connectError(Object.assign(new Error('x'), { level: 'client-authentication' }), { ...context, port: 2222, keyFile: '.belt/c/ssh_key' });
    expect(next).toBe('check the user, or let the key in: ssh-copy-id -f -i .belt/c/ssh_key.pub -p 2222 root@10.0.0.1');
  });
});

describe('lines', () => {
  const linesOf = async (chunks: string[], limit?: number): Promise<string[]> => {
    const lines: string[] = [];
    const bytes = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
    for await (const line of readLines(bytes, limit)) lines.push(line);
    return lines;
  };
  test.each([
    [[], []],
    [['a\nb\n'], ['a', 'b']],
    [['a', 'b\n', '\nc'], ['ab', '', 'c']],
    [['x\r\ny\r', '\n'], ['x', 'y']],
    [['é'.repeat(3), '\n'], ['ééé']],
  ])('%j', async (chunks, lines) => expect(await linesOf(chunks)).toEqual(lines));

  test.each([[['abcd\n']], [['ab', 'cd']], [['ab', 'cd\n']]])('%j is too long for three bytes', async (chunks) => {
    expect((await errorOf(linesOf(chunks, 3))).code).toBe('remote_command');
  });
});
