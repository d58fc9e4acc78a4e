/** What the cluster plane keeps of Docker's swarm beside its nodes: who formed it, of which epoch it is, and whom it went on without. */
import type { Group } from '../api/group.ts';
import type { Change } from '../store/commands.ts';
import type { Sealer } from '../store/sealer.ts';
import type { EngineTokens } from './engine.ts';

const KEY = { founder: 'engine.founder', epoch: 'engine.epoch' } as const;
/** Settings named for Docker's id of a node that was left behind, each on its own: among thousands one more costs no more than the first. */
const LEFT_BEHIND = 'engine.left-behind.';
/** So many are remembered: an engine that was removed long before and still stands there can be told by hand. */
const REMEMBERED = 10_000;

/** Never lets an engine in again that stands in the swarm as `dockerId`: it is told to leave, and joins as another. */
export function leaveBehind(dockerId: string): Change {
  return { type: 'setting.set', key: LEFT_BEHIND + dockerId, value: '' };
}

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

  /** Whether an engine that says it stands in the swarm as `dockerId` was left behind. */
  wasLeftBehind(dockerId: string): boolean {
    return this.#value(LEFT_BEHIND + dockerId) !== null;
  }

  /** {@link leaveBehind} for many, and the oldest forgotten that are too many. */
  leaveBehind(ids: readonly string[]): Change[] {
    if (ids.length === 0) return [];
    const old = [...this.#group.state.tables.settings.values()].filter(({ key }) => key.startsWith(LEFT_BEHIND)).sort((a, b) => a.revision - b.revision);
    const tooMany = old.slice(0, Math.max(0, old.length + ids.length - REMEMBERED));
    return [...tooMany.map(({ key }): Change => ({ type: 'setting.remove', key })), ...ids.map(leaveBehind)];
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
