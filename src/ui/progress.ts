/** Progress that tells the truth: how many are done and failed, what is being waited for, how long it has taken. */

import { printableLine } from './printable.ts';

/** What a long operation reports. Absent fields keep their last value. */
export interface ProgressEvent {
  readonly done?: number;
  readonly failed?: number;
  readonly total?: number;
  /** What is going on now, such as `waiting 12 s for the cloud's rate limit`. */
  readonly note?: string;
}

export interface ProgressOptions {
  readonly title: string;
  readonly total: number | null;
  readonly silent: boolean;
  /** Whether there is a terminal to redraw. */
  readonly live: boolean;
  readonly write: (line: string) => void;
}

interface Standing {
  done: number;
  failed: number;
  total: number | null;
  note: string;
}

/** Nothing is shown of what ends sooner, milliseconds. */
const SHOW_AFTER_MS = 1_000;
/** Between two lines on a pipe, and between two that say nothing new but the time, milliseconds. */
const LINE_EVERY_MS = 5_000;
const SAME_EVERY_MS = 60_000;
/** Between two redraws on a terminal, milliseconds. */
const REDRAW_EVERY_MS = 200;

/** `title: 12/100, 1 failed, 3 s, note`: pure, shared by terminal and pipe. */
export function progressText(title: string, standing: Readonly<Standing>, elapsedMs: number): string {
  const counted = standing.total === null ? (standing.done > 0 ? [`${standing.done}`] : []) : [`${standing.done}/${standing.total}`];
  const failed = standing.failed > 0 ? [`${standing.failed} failed`] : [];
  const note = standing.note === '' ? [] : [printableLine(standing.note)];
  return `${title}: ${[...counted, ...failed, `${Math.round(elapsedMs / 1000)} s`, ...note].join(', ')}`;
}

/** Runs `act` with progress shown as `options` say. Rejects as `act` does. */
export async function runWithProgress<T>(options: ProgressOptions, act: (report: (event: ProgressEvent) => void) => Promise<T>): Promise<T> {
  const standing: Standing = { done: 0, failed: 0, total: options.total, note: '' };
  const report = (event: ProgressEvent): void => void Object.assign(standing, event);
  if (options.silent) return act(report);
  const startMs = performance.now();
  const text = (): string => progressText(options.title, standing, performance.now() - startMs);
  const running = act(report);
  const late = await Promise.race([running.then(() => false, () => false), after(SHOW_AFTER_MS)]);
  if (!late) return running;
  if (options.live) return showLive(running, text, () => standing.failed > 0);
  let said = { what: '', atMs: 0 };
  const say = (): void => {
    said = { what: JSON.stringify(standing), atMs: performance.now() };
    options.write(text());
  };
  say();
  const ticker = setInterval(() => {
    if (JSON.stringify(standing) !== said.what || performance.now() - said.atMs >= SAME_EVERY_MS) say();
  }, LINE_EVERY_MS);
  try {
    return await running;
  } finally {
    clearInterval(ticker);
    say();
  }
}

function after(ms: number): Promise<true> {
  return new Promise((resolve) => setTimeout(() => resolve(true), ms).unref());
}

/** A spinner with the text, redrawn by listr2 on stderr (stdout is for results); it stays as one line when all is over, ticked where nothing failed. */
async function showLive<T>(running: Promise<T>, text: () => string, failed: () => boolean): Promise<T> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  const follow = async (_: unknown, task: { title: string }): Promise<void> => {
    const ticker = setInterval(() => (task.title = text()), REDRAW_EVERY_MS);
    try {
      await running;
    } finally {
      clearInterval(ticker);
      task.title = text();
    }
    if (failed()) throw new Error('some failed');
  };
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr as never, process.stderr as never) });
  const tasks = new Listr([{ title: text(), task: follow }], { forceTTY: true, registerSignalListeners: false, rendererOptions: { logger, showErrorMessage: false } });
  await tasks.run().catch(() => undefined);
  return running;
}
