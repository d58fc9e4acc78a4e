/**
 * The table that makes repeating a request harmless: the results of the last requests by their id. It is part of the replicated state,
 * so every member forgets the same request at the same entry.
 */
import type { Command } from './commands.ts';
import type { WriteResult } from './records.ts';

/** How many requests are remembered. */
export const REQUESTS_REMEMBERED = 32_768;

/** How far two clocks of the cluster may differ before a repeat is refused needlessly, ms. */
const CLOCK_SKEW_MS = 2_000;

/** One remembered request. */
export interface RememberedRequest {
  readonly id: string;
  readonly at: number;
  readonly result: WriteResult;
}

/** A ring of the last requests, found by id. */
export class RequestTable {
  readonly #capacity: number;
  readonly #ring: RememberedRequest[] = [];
  readonly #byId = new Map<string, RememberedRequest>();
  /** The slot that is written next, once the ring is full: the oldest. */
  #next = 0;
  /** The newest time among the requests forgotten: a repeat first sent before it may have been one of them. */
  horizon = 0;

  constructor(capacity = REQUESTS_REMEMBERED) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#ring.length;
  }

  /**
   * The result of a request that was applied before, or null for a new one. A repeat that is older than the table's memory gets
   * `outcome_unknown`: it may have been applied, and applying it again could do it twice.
   */
  result(command: Command): WriteResult | null {
    const known = this.#byId.get(command.id);
    if (known !== undefined) return known.result;
    if (command.first === undefined || command.first > this.horizon + CLOCK_SKEW_MS || this.horizon === 0) return null;
    return { ok: false, code: 'outcome_unknown', message: 'the request was first sent before the oldest one remembered; read the state to see whether it was done' };
  }

  /** Remembers the result of a request seen for the first time, and forgets the oldest when full. */
  remember(command: Command, result: WriteResult): void {
    this.restore({ id: command.id, at: command.at, result });
  }

  /** Adds a remembered request behind the others. */
  restore(request: RememberedRequest): void {
    const forgotten = this.#ring[this.#next];
    if (this.#ring.length < this.#capacity) this.#ring.push(request);
    else {
      this.horizon = Math.max(this.horizon, forgotten!.at);
      this.#byId.delete(forgotten!.id);
      this.#ring[this.#next] = request;
      this.#next = (this.#next + 1) % this.#capacity;
    }
    this.#byId.set(request.id, request);
  }

  /** The remembered requests, oldest first: a copy. */
  oldestFirst(): RememberedRequest[] {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
  }
}
