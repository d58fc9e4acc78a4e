/** Docker's list of nodes as the leader last saw it: looked at in turn, and at once for a report that names a node it does not show. */
import type { Clock } from '../ports.ts';
import type { Engine, EngineNode } from './engine.ts';
import { nameless } from './reconcile.ts';

/** How long a report waits for a look, ms. */
const GLANCE_MS = 3_000;
/** A join that takes longer than this has died, ms. */
const ABANDONED_MS = 60_000;

export class EngineList {
  readonly #engine: Engine;
  readonly #clock: Clock;
  #nodes: readonly EngineNode[] = [];
  #isLost = false;
  /** The look that runs for reports, and the one after it for those that came meanwhile. */
  #glance: Promise<void> = Promise.resolve();
  #nextGlance: Promise<void> | null = null;
  /** When each nameless node was seen first, monotonic ms. */
  #nameless: ReadonlyMap<string, number> = new Map();

  constructor(engine: Engine, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  /** As last seen; empty when it cannot be seen. */
  get nodes(): readonly EngineNode[] {
    return this.#nodes;
  }

  /** Rejects as the engine does. */
  async look(signal: AbortSignal): Promise<readonly EngineNode[]> {
    this.#nodes = await this.#engine.nodes(signal);
    this.#isLost = false;
    return this.#nodes;
  }

  /** It cannot be seen now, and nobody is sent to managers that may be gone: a join that fails throws away what the joiner's disk holds of a swarm. */
  lost(): void {
    this.#nodes = [];
    this.#isLost = true;
  }

  /** Whether the last look failed; before the first there is nothing to say against a manager. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether Docker lists the node, by a look of now where the last does not show it. Many that join at once share one. */
  async shows(id: string): Promise<boolean> {
    const known = (): boolean => this.#nodes.some((node) => node.id === id);
    if (known()) return true;
    this.#nextGlance ??= this.#glance.then(() => {
      this.#nextGlance = null;
      this.#glance = this.look(AbortSignal.timeout(GLANCE_MS)).then(() => undefined, () => undefined);
      return this.#glance;
    });
    await this.#nextGlance;
    return known();
  }

  /** Nameless nodes that this leader has seen for longer than a join can take. */
  abandoned(): Set<string> {
    const now = this.#clock.monotonic();
    this.#nameless = new Map(this.#nodes.filter(nameless).map(({ id }) => [id, this.#nameless.get(id) ?? now]));
    return new Set([...this.#nameless].filter(([, since]) => now - since > ABANDONED_MS).map(([id]) => id));
  }
}
