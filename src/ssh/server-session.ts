/**
 * One session of the server: a command or a shell as a child process in a process group of its own, on pipes or on a terminal.
 * The channel ends as OpenSSH's does, when the command has ended and its output is closed, so that a daemon that keeps the output
 * open hangs here as it would on a cloud. When the connection goes first, the group gets SIGHUP; what has made a session of its
 * own (setsid) or ignores SIGHUP lives on.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { accessSync, constants, readFileSync, readlinkSync } from 'node:fs';
import { constants as system } from 'node:os';
import { delimiter, join } from 'node:path';
import type { PseudoTtyInfo, ServerChannel, Session } from 'ssh2';
import { quoteWord } from './quote.ts';

export interface SessionSettings {
  /** Where commands start, and their HOME. */
  readonly home: string;
  /** The whole environment of commands; nothing of this process's own is passed on. */
  readonly env: Readonly<Record<string, string>>;
}

type Terminal = Pick<PseudoTtyInfo, 'cols' | 'rows'> & { readonly term: string };
type Running = { readonly child: ChildProcessWithoutNullStreams; readonly onTerminal: boolean };

/** Serves the session's requests. `sessions` holds what is to be called when the connection is lost. */
export function serveSession(session: Session, settings: SessionSettings, sessions: Set<() => void>): void {
  let terminal: Terminal | undefined;
  let running: Running | undefined;
  session.on('pty', (accept, reject, info) => {
    terminal = { cols: info.cols, rows: info.rows, term: (info as { term?: string }).term ?? 'xterm' };
    if (terminalHelper(settings.env) === undefined) reject?.();
    else accept?.();
  });
  session.on('window-change', (accept, _reject, info) => {
    accept?.();
    if (running?.onTerminal) resizeTerminal(running.child.pid, info.cols, info.rows);
  });
  session.on('signal', (accept, _reject, { name }) => {
    accept?.();
    const signal = `SIG${name}`;
    if (running !== undefined && signal in system.signals) signalGroup(running.child.pid, signal as NodeJS.Signals);
  });
  const start = (accept: () => ServerChannel, command: string | null): void => {
    const channel = accept();
    running = run(channel, command, terminal, settings, sessions);
  };
  session.on('exec', (accept, _reject, { command }) => start(accept, command));
  session.on('shell', (accept) => start(accept, null));
}

function run(channel: ServerChannel, command: string | null, terminal: Terminal | undefined, settings: SessionSettings, sessions: Set<() => void>): Running {
  const [program, words] = terminal === undefined ? plainCommand(command, settings) : terminalCommand(command, terminal, settings);
  const env = { ...settings.env, HOME: settings.home, ...(terminal === undefined ? {} : { TERM: terminal.term }) };
  const child = spawn(program, words, { cwd: settings.home, env, detached: true, stdio: 'pipe' });
  const hangUp = (): void => {
    if (child.exitCode === null && child.signalCode === null) signalGroup(child.pid, 'SIGHUP');
    child.stdin.destroy();
    child.stdout.destroy();
    child.stderr.destroy();
  };
  sessions.add(hangUp);
  channel.on('error', () => {});
  channel.on('close', () => {
    if (sessions.delete(hangUp)) hangUp();
  });
  child.on('error', (error) => {
    sessions.delete(hangUp);
    channel.stderr.write(`belt: cannot start ${program}: ${error.message}\n`);
    channel.exit(127);
    channel.end();
  });
  child.stdin.on('error', () => {});
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr as never, { end: false });
  child.on('close', (code, signal) => {
    if (!sessions.delete(hangUp)) return;
    if (signal === null) channel.exit(code ?? 255);
    else channel.exit(signal.replace(/^SIG/, ''));
    channel.end();
  });
  return { child, onTerminal: terminal !== undefined };
}

function plainCommand(command: string | null, { env }: SessionSettings): [string, string[]] {
  const shell = env['SHELL'] ?? '/bin/sh';
  return command === null ? [shell, ['-l']] : [shell, ['-c', command]];
}

/**
 * On a terminal the command runs under `script` (util-linux), the one program of a plain Linux userland that makes
 * pseudo-terminals: Node has no call for it and a native module is not worth one. `script` has no size of its own to pass on, so
 * the command's first act is to set it.
 */
function terminalCommand(command: string | null, terminal: Terminal, settings: SessionSettings): [string, string[]] {
  const helper = terminalHelper(settings.env) ?? 'script';
  const shell = settings.env['SHELL'] ?? '/bin/sh';
  const inner = command === null ? `exec ${quoteWord(shell)} -l` : command;
  return [helper, ['-qefc', `stty sane rows ${terminal.rows || 24} cols ${terminal.cols || 80}; ${inner}`, '/dev/null']];
}

function terminalHelper(env: Readonly<Record<string, string>>): string | undefined {
  const folders = (env['PATH'] ?? '/usr/bin:/bin').split(delimiter);
  return folders.map((folder) => join(folder, 'script')).find(isExecutable);
}

/** The terminal is the one our grandchild stands on; `stty` sets its size, and the kernel tells the programs there (SIGWINCH). */
function resizeTerminal(pid: number | undefined, columns: number, rows: number): void {
  try {
    const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0];
    const device = readlinkSync(`/proc/${child}/fd/0`);
    if (!device.startsWith('/dev/pts/')) return;
    spawn('stty', ['-F', device, 'rows', String(rows), 'cols', String(columns)], { stdio: 'ignore' }).on('error', () => {});
  } catch {
    // The command has just ended, or the kernel lists no children: the window keeps its size.
  }
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone.
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
