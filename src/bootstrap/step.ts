/** What a step of a bootstrap is. A step decides from facts alone, so that a dry run is the same path without the act. */
import type { Facts } from './facts.ts';
import type { Wanted } from './wanted.ts';

/** What is sent to the machine: a script, and the bytes it reads. */
export interface Deed {
  readonly script: string;
  readonly payload: readonly Uint8Array[];
}

export interface Step {
  readonly id: string;
  /** What has to be done, in a few words; null when the machine is as wanted. Throws `BeltError` where it must not be touched. */
  check(facts: Facts, wanted: Wanted): string | null;
  /** How it is done. Only asked for after `check` found something. `planned`: the ids of all steps that act. */
  act(facts: Facts, wanted: Wanted, planned: ReadonlySet<string>): Deed | Promise<Deed>;
}
