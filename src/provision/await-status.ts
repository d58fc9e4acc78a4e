/** Waiting for machines with one list a poll, however many they are. */
import { BeltError, type Outcome } from '../errors.ts';
import { type ClusterTag, type Driver, ListedInPart, type Machine, type MachineStatus } from './driver.ts';
import { pollDelayMs } from './poll.ts';
import { realPace, type Pace } from './rate-limit.ts';

/** Whether a machine is where it was waited for: null while it is on the way. */
export function arrival(machine: Machine | undefined, wanted: MachineStatus): Outcome<Machine> | null {
  if (machine === undefined) return null;
  const { name } = machine;
  if (machine.status === wanted) return { name, ok: true, value: machine };
  if (machine.status !== 'error') return null;
  return { name, ok: false, error: new BeltError('driver', `the cloud could not bring it up (status error)`, { machine: name, next: `belt rm ${name}, then create it again` }) };
}

export interface AwaitOptions {
  readonly driver: Driver;
  readonly tag: ClusterTag;
  readonly names: readonly string[];
  readonly wanted: MachineStatus;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly pace?: Pace;
  /** Told after each list, with the machines as they are now. */
  readonly onSeen?: (machines: readonly Machine[], done: number, failed: number) => void;
}

/** Lists until every name has arrived, failed or the time is up; then the rest fails with `timeout`. Rejects only when interrupted; a list that fails is asked again. */
export async function awaitStatus(options: AwaitOptions): Promise<Outcome<Machine>[]> {
  const { driver, tag, names, wanted, signal, pace = realPace } = options;
  const deadline = pace.now() + options.timeoutMs;
  const arrived = new Map<string, Outcome<Machine>>();
  let lastError: unknown;
  for (let poll = 0; ; poll += 1) {
    signal.throwIfAborted();
    try {
      const listed = await driver.list(tag, signal).catch((error: unknown) => {
        // Regions that answer are seen meanwhile.
        if (error instanceof ListedInPart) return error.machines;
        throw error;
      });
      const byName = new Map(listed.map((machine) => [machine.name, machine]));
      for (const name of names) {
        const outcome = arrived.get(name) ?? arrival(byName.get(name), wanted);
        if (outcome !== null) arrived.set(name, outcome);
      }
      const failed = [...arrived.values()].filter((outcome) => !outcome.ok).length;
      options.onSeen?.(names.flatMap((name) => byName.get(name) ?? []), arrived.size - failed, failed);
    } catch (error) {
      signal.throwIfAborted();
      lastError = error;
    }
    if (arrived.size === names.length) break;
    const waitMs = pollDelayMs(poll, names.length);
    if (pace.now() + waitMs > deadline) break;
    await pace.sleep(waitMs, signal);
  }
  const late = (name: string): BeltError =>
    new BeltError('timeout', `not ${wanted} after ${Math.round(options.timeoutMs / 1000)} s`, { machine: name, cause: lastError, next: 'belt status --wait, or belt ls' });
  return names.map((name) => arrived.get(name) ?? { name, ok: false, error: late(name) });
}
