/** What the cluster plane keeps of Docker's swarm beside its nodes: who formed it, of which epoch it is, and whom it went on without. */
import type { Group } from '../api/group.ts';
import type { Change } from '../store/commands.ts';
import type { Sealer } from '../store/sealer.ts';
import type { EngineTokens } from './engine.ts';

const KEY = { founder: 'engine.founder', epoch: 'engine.epoch', leftBehind: 'engine.left-behind' } as const;
/** Nodes that were left behind and are remembered: an engine that was removed long ago and still stands there can be told by hand. */
const LEFT_BEHIND = 256;

export class SwarmRecord {
  readonly #group: Group;
  readonly #sealer: () => Sealer;

  constructor(group: Group, sealer: () => Sealer) {
    this.#group = group;
    this.#sealer = sealer;
  }

  /** The node that forms the swarm. */
  get founder(): string | null {
    return this.#value(KEY.founder);
  }

  /** Refused where another leader chose meanwhile. */
  choose(founder: string): Change {
    return { type: 'setting.set', key: KEY.founder, value: founder, ifRevision: this.#group.state.tables.settings.get(KEY.founder)?.revision ?? 0 };
  }

  /** Whether Docker's half of the agents' latest reform is done. */
  get current(): boolean {
    return Number(this.#value(KEY.epoch) ?? 0) >= this.#group.epoch;
  }

  markCurrent(): Change {
    return { type: 'setting.set', key: KEY.epoch, value: String(this.#group.epoch) };
  }

  /** Docker's ids of nodes that are never let in again. */
  get leftBehind(): string[] {
    return JSON.parse(this.#value(KEY.leftBehind) ?? '[]') as string[];
  }

  leaveBehind(ids: readonly string[]): Change {
    return { type: 'setting.set', key: KEY.leftBehind, value: JSON.stringify([...this.leftBehind, ...ids].slice(-LEFT_BEHIND)) };
  }

  /** The swarm as it is now, its tokens sealed. */
  formed(tokens: EngineTokens): Change {
    const sealed = this.#sealer();
    return {
      type: 'swarm.set',
      swarm: { swarmId: tokens.swarmId, workerToken: sealed.seal('swarm/worker', tokens.worker), managerToken: sealed.seal('swarm/manager', tokens.manager), unlockKey: null },
    };
  }

  #value(key: string): string | null {
    return this.#group.state.tables.settings.get(key)?.value ?? null;
  }
}
