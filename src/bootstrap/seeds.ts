/**
 * Who gives the runtime to whom. In each datacenter (and for each architecture) the first machine that needs it gets it from the operator and then
 * gives it to the others, so that forty megabytes cross the operator's line once per datacenter and not once per machine.
 */

/** Where the seed of a place listens, and the path nobody can guess. */
export interface Seed {
  /** `host:port`. */
  readonly address: string;
  readonly path: string;
}

/** `upload`: this machine gets it from us; `share` tells whether others shall get it from there. */
export type Source = { readonly from: 'operator'; readonly share: boolean } | { readonly from: 'seed'; readonly seed: Seed };

interface Place {
  /** Machines that may still come for the runtime. */
  left: number;
  seed: Seed | null;
  uploading: boolean;
  waiting: Array<() => void>;
  drained: Array<() => void>;
}

export class Seeds {
  readonly #places = new Map<string, Place>();

  /** Says beforehand that a machine of the place may come. */
  expect(place: string): void {
    this.#place(place).left += 1;
  }

  /** Where a machine gets the runtime: waits while another one of the place is being made its seed. Every claim ends with {@link settle}. */
  async claim(place: string): Promise<Source> {
    const at = this.#place(place);
    for (;;) {
      if (at.seed !== null) return { from: 'seed', seed: at.seed };
      if (!at.uploading) {
        at.uploading = true;
        return { from: 'operator', share: at.left > 1 };
      }
      await new Promise<void>((resolve) => at.waiting.push(resolve));
    }
  }

  /** The upload of a claim is over; with a seed the waiting ones fetch there, without one the next of them is uploaded to. */
  opened(place: string, seed: Seed | null): void {
    const at = this.#place(place);
    at.seed = seed;
    at.uploading = false;
    for (const wake of at.waiting.splice(0)) wake();
  }

  /** A machine of the place has its runtime, or will not get one. */
  settle(place: string): void {
    const at = this.#place(place);
    at.left -= 1;
    if (at.left <= 0) for (const wake of at.drained.splice(0)) wake();
  }

  /** Resolves when nobody of the place can come any more. */
  drained(place: string): Promise<void> {
    const at = this.#place(place);
    return at.left <= 0 ? Promise.resolve() : new Promise((resolve) => at.drained.push(resolve));
  }

  #place(name: string): Place {
    const known = this.#places.get(name) ?? { left: 0, seed: null, uploading: false, waiting: [], drained: [] };
    this.#places.set(name, known);
    return known;
  }
}
