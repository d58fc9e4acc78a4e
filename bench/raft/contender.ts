/** What is measured: a cluster of processes that takes writes, belt's or etcd's, behind one interface so that both run the same load. */
import { readFileSync } from 'node:fs';

/** A connection that writes. */
export interface WriteClient {
  /** Resolves when the write is acknowledged, rejects otherwise. */
  put(key: string, value: string): Promise<void>;
  close(): void;
}

export interface Contender {
  readonly name: string;
  /** Connects to the present leader, waiting up to `waitMs` for one. */
  connect(waitMs: number): Promise<WriteClient>;
  /** Connections to every member, leader or not; a write that finds no leader fails within 250 ms. */
  clients(): Promise<WriteClient[]>;
  /** Process ids of the members that run. */
  pids(): number[];
  /** Ends the leader with SIGKILL and returns a function that starts it again. */
  killLeader(): Promise<() => Promise<void>>;
  /** Bytes of the logs on disk of one member, preallocated parts included. */
  diskBytes(): number;
  stop(): Promise<void>;
}

/** CPU time of processes so far, ms (utime + stime; one tick is 10 ms). */
export function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10;
}

/** Resident memory of processes, bytes: the largest. */
export function largestRss(pids: readonly number[]): number {
  return Math.max(...pids.map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024));
}
