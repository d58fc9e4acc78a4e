/** The load and its figures: W writers, each with one write under way at a time, for a fixed time. */
import type { WriteClient } from './contender.ts';

export interface LoadResult {
  readonly writers: number;
  readonly writes: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** 256 bytes, as etcd's own benchmark writes. */
export const VALUE = 'v'.repeat(256);
const KEYS = 10_000;

/** Writes for `ms` after warming up for `warmMs`. */
export async function load(client: WriteClient, writers: number, ms: number, warmMs = 500): Promise<LoadResult> {
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
  latencies.sort((a, b) => a - b);
  return { writers, writes: latencies.length, perSecond: latencies.length / (ms / 1000), p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
}

/** A quantile of sorted numbers. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
