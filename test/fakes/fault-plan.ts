/**
 * Faults a fake cloud shows on purpose. A test adds faults; each applies to the calls it matches, in order, as often as it says.
 * What a fault does to the call is decided here once, so that every fake lies in the same ways.
 */

/** A call as a fake sees it: `name` is the operation in the cloud's own words (`droplets_create`, `RunInstances`, `PUT virtualMachines`). */
export interface FakeCall {
  readonly method: string;
  readonly path: string;
  readonly name: string;
}

export type FaultKind =
  /** Answer with `status`, `headers` and `body` and do nothing. */
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** Do what is asked, then close the connection without an answer: the ambiguous reply. */
  | { readonly kind: 'lost-reply' }
  /** Close the connection before anything is done. */
  | { readonly kind: 'refused' }
  /** Do what is asked, answer `delayMs` (real milliseconds) later. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Do what is asked and answer 200 with text that is no document of the API. */
  | { readonly kind: 'garbage' };

export type Fault = FaultKind & {
  /** Which calls: an operation's name or a predicate; all calls when left out. */
  readonly on?: string | ((call: FakeCall) => boolean);
  /** How many matching calls show it; 1 when left out. */
  readonly times?: number;
  /** How many matching calls pass unharmed first; 0 when left out. */
  readonly after?: number;
};

/** The faults still to come. */
export class FaultPlan {
  #faults: { fault: Fault; skip: number; left: number }[] = [];

  add(fault: Fault): void {
    this.#faults.push({ fault, skip: fault.after ?? 0, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#faults = [];
  }

  /** The fault for this call, which is used up by asking; undefined when the call is to go well. */
  take(call: FakeCall): Fault | undefined {
    for (const entry of this.#faults) {
      if (entry.left === 0 || !matches(entry.fault, call)) continue;
      if (entry.skip > 0) {
        entry.skip -= 1;
        continue;
      }
      entry.left -= 1;
      return entry.fault;
    }
    return undefined;
  }
}

function matches(fault: Fault, call: FakeCall): boolean {
  if (fault.on === undefined) return true;
  return typeof fault.on === 'string' ? fault.on === call.name : fault.on(call);
}
