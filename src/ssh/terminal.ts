/**
 * The operator's terminal, handed to a command on a machine: keys go through raw (Ctrl-C is the remote side's), the window follows
 * when it is resized, and the terminal is given back as it was whatever happens.
 */
import type { Readable, Writable } from 'node:stream';
import type { ExitStatus } from './channel.ts';
import type { SshConnection } from './client.ts';

/** `process.stdin` and its kin, or plain streams where there is no terminal. */
export interface TerminalStreams {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly stderr: Writable;
}

export interface TerminalOptions {
  /** `auto`: when stdin and stdout are terminals. A login shell wants one, a command as `ssh host command` does not. */
  readonly pty: boolean | 'auto';
  /** Value of TERM on the other side. */
  readonly term?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Runs `command` (null: a login shell) on the given streams until it ends, and says how. Throws `unreachable` when the connection is lost. */
export async function runOnTerminal(connection: SshConnection, command: string | null, streams: TerminalStreams, options: TerminalOptions): Promise<ExitStatus> {
  const { stdin, stdout, stderr } = streams;
  const terminal = stdin.isTTY === true && stdout.isTTY === true;
  const wanted = options.pty === 'auto' ? terminal : options.pty;
  const size = (): { columns: number; rows: number } => ({ columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 });
  const pty = wanted ? { term: options.term ?? 'xterm-256color', ...size() } : undefined;
  const stream = await connection.stream(command, { pty, signal: options.signal });
  const resize = (): void => stream.resize(size().columns, size().rows);
  // Whoever reads our output may stop (`belt ssh node1 … | head`): then the command is hung up on, and what it still says is dropped.
  const hangUp = (): void => stream.close();
  const raw = wanted && stdin.isTTY === true && stdin.setRawMode !== undefined;
  try {
    if (raw) stdin.setRawMode?.(true);
    if (wanted) stdout.on('resize', resize);
    stdin.pipe(stream.stdin);
    stream.stdout.pipe(stdout, { end: false });
    stream.stderr.pipe(stderr, { end: false });
    // After the pipes: taking one apart pauses its source.
    stdout.once('close', hangUp);
    return await stream.exit;
  } finally {
    stdin.unpipe(stream.stdin);
    stdin.pause();
    stdout.off('resize', resize);
    stdout.off('close', hangUp);
    if (raw) stdin.setRawMode?.(false);
  }
}
