/** The agent's log: each line with its time to one place, and the last ones kept for `node.logs`. */

/** Lines kept. */
const LINES_MAX = 10_000;

export class LogBuffer {
  readonly #write: (line: string) => void;
  readonly #now: () => Date;
  #lines: string[] = [];

  constructor(write: (line: string) => void, now: () => Date) {
    this.#write = write;
    this.#now = now;
  }

  add(text: string): void {
    const line = `${this.#now().toISOString()} ${text.replaceAll('\n', '\n  ')}`;
    this.#lines.push(line);
    if (this.#lines.length > 2 * LINES_MAX) this.#lines = this.#lines.slice(-LINES_MAX);
    this.#write(line);
  }

  /** The last `count` lines, oldest first. */
  tail(count: number): string[] {
    return count === 0 ? [] : this.#lines.slice(-Math.min(count, LINES_MAX));
  }
}
