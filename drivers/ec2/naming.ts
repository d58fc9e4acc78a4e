/** `Name`, for people who look at the console. belt's names do not depend on it, so no launch waits for it and a failure is not the machine's. */
import { BeltError } from '../../src/errors.ts';
import type { Created, Machine } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import type { Ec2Region } from './api.ts';

/** Calls under way at once in a region: its limit of tags is the slower. */
const CONCURRENCY = 8;

/** Names batch after batch, each region for itself, behind whoever goes on launching. */
export class Naming {
  readonly #queues = new Map<string, Promise<void>>();
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Takes what a batch gave, or what a run that died left without. */
  add(region: Ec2Region, batch: readonly Created[]): void {
    const machines = batch.flatMap((one) => ('failed' in one ? [] : [one]));
    if (machines.length === 0) return;
    const queue = (this.#queues.get(region.name) ?? Promise.resolve()).then(() => this.#name(region, machines));
    // Heard of in `done`; until then an interruption must not be an unhandled rejection.
    queue.catch(() => undefined);
    this.#queues.set(region.name, queue);
  }

  /** Ends when all are named; rejects with `interrupted` only. */
  async done(): Promise<void> {
    for (const queue of this.#queues.values()) await queue;
  }

  async #name(region: Ec2Region, machines: readonly Machine[]): Promise<void> {
    const tag = async (machine: Machine): Promise<never[]> => {
      const command = new region.sdk.CreateTagsCommand({ Resources: [machine.id.slice(machine.id.indexOf('/') + 1)], Tags: [{ Key: 'Name', Value: machine.name }] });
      await region.call('tags', command, this.#signal).catch((error: unknown) => {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
      });
      return [];
    };
    for await (const _ of fanOut(machines, CONCURRENCY, tag));
  }
}
