/** The load and its figures: W writers, each with one write under way at a time, for a fixed time. */
import type { WriteClient } from './contender.ts';

export interface LoadResult {
  readonly writers: number;
  readonly writes: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How often the leader had to be looked for again. */
  readonly moves?: number;
}

/** 256 bytes, as etcd's own benchmark writes. */
export const VALUE = 'v'.repeat(256);
const KEYS = 10_000;

/** The client of a contender that follows the leader: where a write fails, the leader is looked for and the write is made again, once for all writers. */
class FollowingClient {
  readonly #connect: () => Promise<WriteClient>;
  #client: Promise<WriteClient>;
  moves = 0;

  constructor(connect: () => Promise<WriteClient>) {
    this.#connect = connect;
    this.#client = connect();
  }

  async put(key: string, value: string): Promise<void> {
    for (;;) {
      const client = this.#client;
      try {
        return await (await client).put(key, value);
      } catch {
        if (this.#client !== client) continue;
        this.moves++;
        this.#client = this.#connect();
        void client.then((old) => old.close(), () => undefined);
      }
    }
  }

  async close(): Promise<void> {
    (await this.#client).close();
  }
}

/** Writes for `ms` after warming up for `warmMs`. The latency of a write that had to be made again is that of all its tries. */
export async function load(connect: () => Promise<WriteClient>, writers: number, ms: number, warmMs = 500): Promise<LoadResult> {
  const client = new FollowingClient(connect);
  const latencies: number[] = [];
  const start = performance.now() + warmMs;
  const end = start + ms;
  let next = 0;
  const writer = async (): Promise<void> => {
    for (;;) {
      const began = performance.now();
      if (began >= end) return;
      await client.put(`key-${String(next++ % KEYS).padStart(8, '0')}`, VALUE);
      const ended = performance.now();
      if (began >= start && ended <= end) latencies.push(ended - began);
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
  await client.close();
  latencies.sort((a, b) => a - b);
  return {
    writers, writes: latencies.length, perSecond: latencies.length / (ms / 1000), p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99), moves: client.moves,
  };
}

/** A quantile of sorted numbers. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
