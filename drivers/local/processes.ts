/**
 * The processes of machines. Whatever runs on a machine carries BELT_MACHINE=<id> in its environment, inherited from the session
 * or boot script that began it, so that a machine's processes are found by looking at /proc and not by remembering: a host process
 * that was itself restarted finds them all the same. A process is signalled only while its start time is the one that was seen.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface MachineProcess {
  readonly pid: number;
  /** Clock ticks since boot (proc(5), stat field 22): with the pid it names one process for as long as the box is up. */
  readonly startTime: string;
  /** One letter of proc(5): R, S, T, Z … */
  readonly state: string;
}

/** How often a stopping machine is looked at, milliseconds. The kernel tells nobody but the parent of a process's end. */
const LOOK_MS = 25;
/** How long a signal that nobody can refuse may take to show, milliseconds: where everything is busy a killed process waits seconds for its turn to end. */
const END_MS = 30_000;

/** Every live process of this user that belongs to one of `ids`, by machine. Zombies count as gone. */
export function findProcesses(ids: ReadonlySet<string>): Map<string, MachineProcess[]> {
  const found = new Map<string, MachineProcess[]>();
  const uid = process.getuid?.();
  for (const entry of readdirSync('/proc')) {
    if (!/^[1-9][0-9]*$/.test(entry)) continue;
    const id = machineOfProcess(entry, uid);
    if (id === undefined || !ids.has(id)) continue;
    const one = readProcess(Number(entry));
    if (one === undefined || one.state === 'Z' || one.state === 'X') continue;
    const list = found.get(id);
    if (list === undefined) found.set(id, [one]);
    else list.push(one);
  }
  return found;
}

/** State and start time of a process, undefined when it is gone. */
export function readProcess(pid: number): MachineProcess | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { pid, state: fields[0] ?? '?', startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** Signals the process if it is still the one that was seen. Whether it was there. */
export function signalProcess(seen: MachineProcess, signal: NodeJS.Signals): boolean {
  const now = readProcess(seen.pid);
  if (now === undefined || now.startTime !== seen.startTime) return false;
  try {
    process.kill(seen.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** SIGKILL to all of them, again until none is left: a process may fork between the look and the signal. Gives the ids with survivors. */
export async function killProcesses(ids: ReadonlySet<string>, deadlineMs = END_MS): Promise<Set<string>> {
  return endProcesses(ids, deadlineMs, () => 'SIGKILL');
}

/** SIGTERM once to each, a wait of at most `graceMs`, then {@link killProcesses}. Frozen ones are woken to hear it. */
export async function stopProcesses(ids: ReadonlySet<string>, graceMs: number): Promise<Set<string>> {
  const told = new Set<string>();
  const survivors = await endProcesses(ids, graceMs, ({ pid, startTime }) => {
    const key = `${pid}/${startTime}`;
    if (told.has(key)) return undefined;
    told.add(key);
    return 'SIGTERM';
  });
  return survivors.size === 0 ? survivors : killProcesses(survivors);
}

/** SIGSTOP or SIGCONT to all of them, until a look finds none left in the other state. */
export async function freezeProcesses(ids: ReadonlySet<string>, frozen: boolean, deadlineMs = END_MS): Promise<void> {
  const ends = performance.now() + deadlineMs;
  for (;;) {
    const others = [...findProcesses(ids).values()].flat().filter(({ state }) => (state === 'T') !== frozen);
    if (others.length === 0 || performance.now() > ends) return;
    for (const one of others) signalProcess(one, frozen ? 'SIGSTOP' : 'SIGCONT');
    await sleep(LOOK_MS);
  }
}

async function endProcesses(ids: ReadonlySet<string>, deadlineMs: number, signalFor: (one: MachineProcess) => NodeJS.Signals | undefined): Promise<Set<string>> {
  const ends = performance.now() + deadlineMs;
  for (;;) {
    const found = findProcesses(ids);
    if (found.size === 0 || performance.now() > ends) return new Set(found.keys());
    for (const one of [...found.values()].flat()) {
      const signal = signalFor(one);
      if (signal !== undefined && signalProcess(one, signal) && one.state === 'T') signalProcess(one, 'SIGCONT');
    }
    await sleep(LOOK_MS);
  }
}

function machineOfProcess(pid: string, uid: number | undefined): string | undefined {
  try {
    if (uid !== undefined && uid !== 0 && statSync(`/proc/${pid}`).uid !== uid) return undefined;
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    const at = environment.startsWith('BELT_MACHINE=') ? 0 : environment.indexOf('\0BELT_MACHINE=') + 1;
    if (at === 0 && !environment.startsWith('BELT_MACHINE=')) return undefined;
    const end = environment.indexOf('\0', at);
    return environment.slice(at + 'BELT_MACHINE='.length, end === -1 ? undefined : end);
  } catch {
    return undefined;
  }
}
