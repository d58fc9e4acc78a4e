/** The state in memory and its file: many changes, few writes. */
import { readFileSync } from 'node:fs';

import { asBeltError, BeltError } from '../errors.ts';
import { replaceFile } from './atomic-file.ts';
import { decodeState, encodeState } from './state-file.ts';
import type { ClusterState } from './state.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Writes the latest content, one write at a time: changes that come while one is under way share the next. A write begins with a turn of the event loop of its
 * own, so that what one answer of a cloud changes is on disk as a whole or not at all: who goes on with a batch must not find a part of it settled.
 */
export class CoalescingWriter {
  readonly #write: () => Promise<void>;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  /** `write` puts the content as it is when called on disk. */
  constructor(write: () => Promise<void>) {
    this.#write = write;
  }

  /** Resolves when no write is under way or waits; rejects with the failure of the last one. */
  idle(): Promise<void> {
    return this.#next ?? this.#running ?? Promise.resolve();
  }

  /** Resolves when what was there at the call is on disk; rejects with the failure of the write that should have put it there. */
  save(): Promise<void> {
    if (this.#next !== null) return this.#next;
    const before = this.#running ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(nextTurn).then(() => {
      this.#running = mine;
      this.#next = null;
      return this.#write();
    });
    this.#next = mine;
    return mine;
  }
}

/** The state of an opened cluster. Only who holds the cluster's lock makes one. */
export class StateStore {
  readonly state: ClusterState;
  readonly #writer: CoalescingWriter;

  constructor(file: string, state: ClusterState, write: (file: string, content: string) => Promise<void> = replaceFile) {
    this.state = state;
    this.#writer = new CoalescingWriter(async () => {
      try {
        await write(file, encodeState(this.state));
      } catch (error) {
        throw asBeltError(error, 'disk', { next: `make room for ${file} or make it writable, then run the command again` });
      }
    });
  }

  /** Changes the state now; resolves when the change is on disk. Throws `disk`. */
  change(mutate: (state: ClusterState) => void): Promise<void> {
    mutate(this.state);
    return this.#writer.save();
  }

  /** Resolves when all changes are on disk, those nobody waited for among them: before the lock is given back. Throws `disk`. */
  flush(): Promise<void> {
    return this.#writer.idle();
  }
}

/** The state in `file`. Throws `state_damaged`, `state_newer`, and `unknown_cluster` when there is no file. */
export function readState(file: string): ClusterState {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new BeltError('unknown_cluster', `there is no ${file}`, { next: 'belt cluster ls' });
    throw asBeltError(error, 'disk');
  }
  return decodeState(content, file);
}
