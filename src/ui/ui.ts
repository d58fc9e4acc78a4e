/** The only place that prints. Results go to stdout, everything else to stderr; with `--json` stdout holds one JSON document and nothing else. */
import { errorLines } from './error-text.ts';
import { type Column, layoutTable } from './table.ts';
import { runWithProgress, type ProgressEvent } from './progress.ts';
import { ask } from './confirm.ts';
import { printable } from './printable.ts';
import { BeltError } from '../errors.ts';

/** Where output goes; in tests two strings. */
export interface Output {
  write(text: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface UiOptions {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Where a confirmation is read from; its `isTTY` decides whether one can be asked for. */
  readonly stdin: NodeJS.ReadStream | null;
  readonly json: boolean;
  readonly debug: boolean;
  readonly yes: boolean;
  /** Colour is for terminals, and not where NO_COLOR is set (no-color.org). */
  readonly color: boolean;
}

/** What a command prints with. */
export interface Ui {
  readonly json: boolean;
  /** One line of a result on stdout; nothing with `--json`. */
  line(text: string): void;
  /** A result: with `--json` the document on stdout, else what `render` prints. */
  report(document: unknown, render: (ui: Ui) => void): void;
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void;
  /** Something worth knowing, on stderr. */
  note(text: string): void;
  warn(text: string): void;
  error(error: unknown): void;
  /** Bytes of a remote command, untouched. */
  raw(stream: 'stdout' | 'stderr', bytes: Uint8Array | string): void;
  /**
   * Runs `act` and shows how far it is: live on a terminal, a line now and then on a pipe, nothing with `--json`. What takes under a second
   * shows nothing. `total` is the count of machines, null when it is not known.
   */
  progress<T>(title: string, total: number | null, act: (report: (event: ProgressEvent) => void) => Promise<T>): Promise<T>;
  /** Asks once on a terminal; with `--yes` nothing is asked; on a pipe without it, and on "no", throws `protected`. */
  confirm(question: string): Promise<void>;
}

export function createUi(options: UiOptions): Ui {
  const { stdout, stderr, json } = options;
  const out = (text: string): void => void stdout.write(`${text}\n`);
  const err = (text: string): void => void stderr.write(`${text}\n`);
  const say = (text: string): void => err(printable(text));
  const paint = (code: number, text: string): string => (options.color && stderr.isTTY === true ? `\u001b[${code}m${text}\u001b[39m` : text);
  const ui: Ui = {
    json,
    line: (text) => {
      if (!json) out(printable(text));
    },
    report: (document, render) => {
      if (json) out(JSON.stringify(document, null, 2));
      else render(ui);
    },
    table: (columns, rows) => layoutTable(columns, rows).forEach(ui.line),
    note: say,
    warn: (text) => err(`${paint(33, 'belt: warning:')} ${printable(text)}`),
    error: (error) => errorLines(error, options.debug).forEach((text, at) => err(at === 0 ? paint(31, printable(text)) : printable(text))),
    raw: (stream, bytes) => void (stream === 'stdout' ? stdout : stderr).write(bytes),
    progress: (title, total, act) => runWithProgress({ title, total, silent: json, live: stderr.isTTY === true && !json, write: say }, act),
    confirm: async (question) => {
      if (options.yes) return;
      const next = 'say --yes if you mean it';
      if (options.stdin?.isTTY !== true || stderr.isTTY !== true) throw new BeltError('protected', `${question} Not without --yes where nobody can be asked.`, { next });
      if (!(await ask(options.stdin, (text) => void stderr.write(text), question))) throw new BeltError('protected', 'Nothing was changed.', { next });
    },
  };
  return ui;
}
