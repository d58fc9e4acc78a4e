/**
 * One conversation with a machine over one channel: scripts go out, lines `belt: word …` come back. The machine runs `templates/bootstrap/listen.sh`.
 */
import type { Readable, Writable } from 'node:stream';

import { BeltError } from '../errors.ts';

/** A command running on the machine: an SSH channel, or a process in tests. */
export interface Remote {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Ends the command, whatever it does. */
  close(): void;
}

/** What the machine says: the first word, and the rest. */
export interface Said {
  readonly word: string;
  readonly rest: string;
}

/** Longest line and longest memory of error output, characters. */
const LINE_MAX = 131_072;
const ERRORS_MAX = 2_000;
/** Sayings of one conversation: a few hundred are usual. */
const SAID_MAX = 10_000;

export class Conversation {
  readonly #machine: string;
  readonly #remote: Remote;
  readonly #said: Said[] = [];
  #count = 0;
  #partial = '';
  #errors = '';
  #ended: BeltError | null = null;
  #wake: (() => void) | null = null;

  constructor(machine: string, remote: Remote) {
    this.#machine = machine;
    this.#remote = remote;
    remote.stdout.setEncoding('utf8');
    remote.stderr.setEncoding('utf8');
    remote.stdout.on('data', (text: string) => this.#hear(text));
    remote.stderr.on('data', (text: string) => (this.#errors = (this.#errors + text).slice(-ERRORS_MAX)));
    const broken = (error?: Error): void => this.#end(new BeltError('unreachable', `the connection to ${machine} broke${error === undefined ? '' : `: ${error.message}`}`, { machine, cause: error, next: 'the same command again goes on where it stopped' }));
    remote.stdout.on('error', broken);
    remote.stdin.on('error', broken);
    remote.stdout.once('close', () => broken());
  }

  /** Sends a script and what it reads, in that order, holding back while the machine is slow. Rejects with `unreachable`. */
  async send(script: string, payload: readonly Uint8Array[] = []): Promise<void> {
    const bytes = Buffer.from(script);
    const head = Buffer.concat([Buffer.from(`${bytes.length}\n`), bytes]);
    for (const chunk of [head, ...payload]) await this.raw(chunk);
  }

  /** Bytes that a script sent before is reading. A connection that is gone is noticed by {@link next}. */
  async raw(bytes: Uint8Array): Promise<void> {
    if (this.#ended === null && !this.#remote.stdin.write(bytes)) await this.#drained();
  }

  /** The next saying that begins with one of the words; others are passed over. Rejects as {@link next}. */
  async until(words: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<Said> {
    for (;;) {
      const said = await this.next(timeoutMs, signal);
      if (words.includes(said.word)) return said;
    }
  }

  /** The next thing the machine says. Rejects with `remote_command` for a step that failed, `timeout`, `unreachable`, or as the signal says. */
  async next(timeoutMs: number, signal: AbortSignal): Promise<Said> {
    const deadline = AbortSignal.timeout(timeoutMs);
    for (;;) {
      signal.throwIfAborted();
      const said = this.#said.shift();
      if (said?.word === 'failed') throw await this.#failure(said.rest);
      if (said !== undefined) return said;
      if (this.#ended !== null) throw this.#ended;
      if (deadline.aborted) throw new BeltError('timeout', `${this.#machine} said nothing for ${Math.round(timeoutMs / 1000)} s`, { machine: this.#machine, next: 'the same command again goes on where it stopped' });
      await this.#stir(AbortSignal.any([deadline, signal]));
    }
  }

  close(): void {
    this.#remote.stdin.end();
    this.#remote.close();
  }

  #hear(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = (lines.pop() ?? '').slice(0, LINE_MAX);
    for (const line of lines) {
      const [, word, rest = ''] = /^belt: (\S+) ?(.*)$/.exec(line) ?? [];
      if (word === undefined) continue;
      this.#count += 1;
      if (this.#count <= SAID_MAX) this.#said.push({ word, rest });
    }
    if (this.#count > SAID_MAX && this.#ended === null) {
      this.#end(new BeltError('remote_command', `${this.#machine} says more than ${SAID_MAX} things in one bootstrap`, { machine: this.#machine, next: `belt ssh ${this.#machine} and look what it runs` }));
      this.#remote.close();
    }
    this.#wake?.();
  }

  #end(error: BeltError): void {
    this.#ended ??= error;
    this.#wake?.();
  }

  #stir(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wake = null;
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #drained(): Promise<void> {
    const { stdin } = this.#remote;
    return new Promise((resolve) => {
      const done = (): void => {
        stdin.off('drain', done);
        stdin.off('close', done);
        resolve();
      };
      stdin.once('drain', done);
      stdin.once('close', done);
    });
  }

  /** The reason comes on the other stream and may still be on its way. */
  async #failure(rest: string): Promise<BeltError> {
    if (this.#errors === '') await this.#stir(AbortSignal.timeout(50));
    const [step = 'a step', code = '?'] = rest.split(' ');
    const why = this.#errors.trim().split('\n').slice(-3).join(' / ');
    return new BeltError('remote_command', `${this.#machine}: bootstrap failed at ${step}: ${why === '' ? `exit ${code}` : why}`, { machine: this.#machine, next: `belt bootstrap ${this.#machine} goes on from there` });
  }
}
