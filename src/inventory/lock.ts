/**
 * One writer at a time per cluster. The lock is a file that names its holder: process, when that process started (numbers of processes are
 * given again), and host. A holder that is gone is found out on the same host and its lock taken over; a holder on another host is believed.
 */
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';

import * as v from 'valibot';

import { BeltError } from '../errors.ts';

const Holder = v.object({ pid: v.pipe(v.number(), v.integer()), startTime: v.string(), hostname: v.string(), command: v.string(), since: v.string() });
export type Holder = v.InferOutput<typeof Holder>;

/** Locks for taking over locks for taking over … a number on everything. */
const TAKEOVERS_MAX = 3;

export interface Lock {
  release(): void;
}

/** When process `pid` started, in the kernel's ticks since boot (proc(5), field 22); where there is no /proc only that it lives; null when it does not, nor when it only waits to be buried. */
export function processStartTime(pid: number): string | null {
  if (!existsSync('/proc/self/stat')) return isAlive(pid) ? 'alive' : null;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether the holder of a lock is known to be gone. Pure; `startTimeOf` as {@link processStartTime}. */
export function isStale(holder: Holder, thisHost: string, startTimeOf: (pid: number) => string | null): boolean {
  return holder.hostname === thisHost && startTimeOf(holder.pid) !== holder.startTime;
}

/** Takes the lock `file` for `command`. Throws `locked` with who holds it and since when. */
export function takeLock(file: string, command: string, nowMs: number): Lock {
  return take(file, command, nowMs, 0);
}

function take(file: string, command: string, nowMs: number, depth: number): Lock {
  const mine: Holder = { pid: process.pid, startTime: processStartTime(process.pid) ?? '0', hostname: hostname(), command, since: new Date(nowMs).toISOString() };
  const text = `${JSON.stringify(mine)}\n`;
  const prepared = `${file}.${process.pid}.new`;
  writeFileSync(prepared, text, { mode: 0o600 });
  try {
    // A link is made whole or not at all, so nobody ever reads half a lock.
    if (!link(prepared, file) && !takeOver(file, prepared, mine, depth)) throw heldBy(file, readHolder(file));
  } finally {
    rmSync(prepared, { force: true });
  }
  return { release: () => release(file, text) };
}

/**
 * Puts our lock in the place of one whose holder is gone. Of several that found the same stale lock one may, or they would replace each other's
 * fresh ones: a lock of its own decides, which may be stale in turn.
 */
function takeOver(file: string, prepared: string, mine: Holder, depth: number): boolean {
  const gone = (): boolean => {
    const holder = readHolder(file);
    return holder === null || isStale(holder, mine.hostname, processStartTime);
  };
  if (depth >= TAKEOVERS_MAX || !gone()) return false;
  const turn = take(`${file}.takeover`, mine.command, Date.parse(mine.since), depth + 1);
  try {
    if (!gone()) return false;
    if (existsSync(file)) renameSync(prepared, file);
    else return link(prepared, file);
    return true;
  } finally {
    turn.release();
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Who holds the lock, null when it went away meanwhile. A lock that nobody can read is believed to be held. */
function readHolder(file: string): Holder | null {
  try {
    return v.parse(Holder, JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new BeltError('locked', `${file} cannot be read`, { cause: error, next: `if no other belt runs: rm ${file}` });
  }
}

function heldBy(file: string, holder: Holder | null): BeltError {
  if (holder === null) return new BeltError('locked', `${file} was taken and given back just now`, { next: 'run it again' });
  const where = holder.hostname === hostname() ? '' : ` on ${holder.hostname}`;
  const next = holder.hostname === hostname() ? 'wait until it is done' : `wait until it is done; if ${holder.hostname} is gone for good: rm ${file}`;
  return new BeltError('locked', `the cluster is being changed by 'belt ${holder.command}' (process ${holder.pid}${where}, since ${holder.since})`, { next });
}

/** Removes the lock if it is still ours. */
function release(file: string, text: string): void {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) rmSync(file, { force: true });
}
