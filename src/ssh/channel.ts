/** Commands over an open SSH connection: collected (`runCommand`) or as a conversation (`openChannel`). */
import type { Readable, Writable } from 'node:stream';
import type { Client as Ssh2Client, ClientChannel, ExecOptions as Ssh2ExecOptions } from 'ssh2';
import { BeltError } from '../errors.ts';

/** The terminal a command believes to stand on. Sizes in characters. */
export interface PtyOptions {
  readonly term: string;
  readonly columns: number;
  readonly rows: number;
}

export interface StreamOptions {
  readonly pty?: PtyOptions | undefined;
  /** Ends the command (SIGTERM) and the channel. */
  readonly signal?: AbortSignal | undefined;
}

export interface ExecOptions {
  /** Given to the command and closed after it. Default: nothing, closed at once. Secrets go here, never into `command`. */
  readonly stdin?: string | Buffer | Readable | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For the whole command, milliseconds. Default: none. Throws `timeout`. */
  readonly timeoutMs?: number | undefined;
  /** For stdout and stderr each. Default 16 MiB. Throws `remote_command`. */
  readonly maxOutputBytes?: number | undefined;
}

/** How a command ended: by itself with a code, or by a signal (`SIGKILL`), in which case `code` is null. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface ExecResult extends ExitStatus {
  readonly stdout: string;
  readonly stderr: string;
}

/** A running command. Both outputs must be read (or `resume()`d): a full one stops the command, as a full pipe does. */
export interface SshStream {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** How it ended. Rejects with `unreachable` when the connection was lost first. May be left unawaited. */
  readonly exit: Promise<ExitStatus>;
  resize(columns: number, rows: number): void;
  /** Asks the server to send a signal (`SIGINT`); servers may ignore it. */
  kill(signal: string): void;
  /** Hangs up without waiting for the command; what it still says is dropped, and `exit` settles. */
  close(): void;
}

const DEFAULT_MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** Starts `command`, or a login shell when it is null. Throws `unreachable` when the connection is gone, `remote_command` when refused. */
export async function openChannel(client: Ssh2Client, machine: string, command: string | null, options: StreamOptions = {}): Promise<SshStream> {
  if (options.signal?.aborted) throw interrupted(machine);
  const { channel, exit } = await requestChannel(client, machine, command, options.pty);
  const stream: SshStream = {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exit,
    resize: (columns, rows) => channel.setWindow(rows, columns, 0, 0),
    kill: (signal) => channel.signal(signal.replace(/^SIG/, '')),
    close: () => {
      channel.close();
      channel.resume();
      channel.stderr.resume();
    },
  };
  if (options.signal !== undefined) hangUpOn(options.signal, stream);
  return stream;
}

/** Runs `command` to its end. Throws `timeout`, `interrupted`, `unreachable` or `remote_command` (too much output, exec refused). */
export async function runCommand(client: Ssh2Client, machine: string, command: string, options: ExecOptions = {}): Promise<ExecResult> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const stream = await openChannel(client, machine, command, { signal });
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => stop.abort(timedOut(machine, options.timeoutMs as number)), options.timeoutMs);
  const limit = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  const tooMuch = (): void => stop.abort(new BeltError('remote_command', `a command on ${machine} printed more than ${limit} bytes`, { machine }));
  const stdout = collect(stream.stdout, limit, tooMuch);
  const stderr = collect(stream.stderr, limit, tooMuch);
  feed(stream.stdin, options.stdin);
  try {
    const status = await Promise.race([stream.exit, aborted(signal, machine)]);
    return { ...status, stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    clearTimeout(timer);
  }
}

interface OpenedChannel {
  readonly channel: ClientChannel;
  readonly exit: Promise<ExitStatus>;
}

/**
 * The end is listened for within ssh2's callback, not after a promise: a short command's acceptance, output, exit status and close
 * may come in one packet and are then all told before any `await` goes on.
 */
function requestChannel(client: Ssh2Client, machine: string, command: string | null, pty: PtyOptions | undefined): Promise<OpenedChannel> {
  return new Promise((resolve, reject) => {
    const done = (error: (Error & { reason?: unknown }) | undefined, channel: ClientChannel): void => {
      if (error === undefined || error === null) return resolve({ channel, exit: exitOf(client, channel, machine) });
      // ssh2 has no code for it: a refused request is told by this text alone, all else is a dead connection.
      const refused = /^Unable to (exec|start|request)|open failure/i.test(error.message);
      reject(new BeltError(refused ? 'remote_command' : 'unreachable', `${machine}: ${error.message}`, { machine, cause: error }));
    };
    const terminal = pty === undefined ? undefined : { term: pty.term, cols: pty.columns, rows: pty.rows, width: 0, height: 0 };
    try {
      if (command === null) client.shell(terminal ?? false, done);
      else client.exec(command, (terminal === undefined ? {} : { pty: terminal }) as Ssh2ExecOptions, done);
    } catch (error) {
      reject(new BeltError('unreachable', `the connection to ${machine} is closed`, { machine, cause: error }));
    }
  });
}

/**
 * ssh2 tells of the end in two events: `exit` (what the server said), then `close`, which waits for a reader of the output. A lost
 * connection is a `close` alone; the client's own is listened to as well, as nobody may be reading.
 */
function exitOf(client: Ssh2Client, channel: ClientChannel, machine: string): Promise<ExitStatus> {
  let status: ExitStatus | undefined;
  const exit = new Promise<ExitStatus>((resolve, reject) => {
    channel.once('exit', (code: number | null, signal?: string) => {
      status = { code, signal: signal ?? null };
    });
    const lost = (): void => {
      if (status === undefined) reject(new BeltError('unreachable', `the connection to ${machine} was lost before the command ended`, { machine, next: 'run it again; belt repeats nothing by itself here' }));
    };
    client.once('close', lost);
    channel.once('close', () => {
      client.off('close', lost);
      if (status !== undefined) resolve(status);
      else lost();
    });
  });
  exit.catch(() => {});
  channel.on('error', () => {});
  return exit;
}

function collect(stream: Readable, limit: number, tooMuch: () => void): { text(): string } {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit) tooMuch();
    else chunks.push(chunk);
  });
  return { text: () => Buffer.concat(chunks).toString('utf8') };
}

/** A command may end without reading its stdin: that is its right, and no error of ours. */
function feed(stdin: Writable, source: ExecOptions['stdin']): void {
  if (source === undefined || typeof source === 'string' || Buffer.isBuffer(source)) {
    stdin.end(source ?? '');
    return;
  }
  source.on('error', () => stdin.end());
  source.pipe(stdin);
}

function hangUpOn(signal: AbortSignal, stream: SshStream): void {
  const hangUp = (): void => {
    stream.kill('SIGTERM');
    stream.close();
  };
  signal.addEventListener('abort', hangUp, { once: true });
  stream.exit.finally(() => signal.removeEventListener('abort', hangUp)).catch(() => {});
}

function aborted(signal: AbortSignal, machine: string): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason instanceof BeltError ? signal.reason : interrupted(machine));
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

function interrupted(machine: string): BeltError {
  return new BeltError('interrupted', `interrupted while a command ran on ${machine}`, { machine });
}

function timedOut(machine: string, timeoutMs: number): BeltError {
  return new BeltError('timeout', `a command on ${machine} took longer than ${timeoutMs} ms`, { machine });
}
