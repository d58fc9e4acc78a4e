/** The tables of the state, with an undo log so that a command changes all it means to or nothing. */
import type {
  AuthorityRecord, CertificateRecord, ClusterRecord, NodeRecord, NodeRole, OperationRecord, SettingRecord, SwarmRecord, TokenRecord,
} from './records.ts';

/** The single records. */
interface Singles {
  cluster: ClusterRecord | null;
  authority: AuthorityRecord | null;
  swarm: SwarmRecord | null;
}

/** All tables. Only `changes.ts` and the restoring of a snapshot write to them, through {@link put}, {@link drop} and {@link set}. */
export class Tables {
  readonly nodes = new Map<string, NodeRecord>();
  /** Node ids by name; derived from `nodes`. */
  readonly nodeIds = new Map<string, string>();
  readonly tokens = new Map<NodeRole, TokenRecord>();
  readonly certificates = new Map<string, CertificateRecord>();
  readonly operations = new Map<string, OperationRecord>();
  readonly settings = new Map<string, SettingRecord>();
  readonly #singles: Singles = { cluster: null, authority: null, swarm: null };
  readonly #undo: (() => void)[] = [];

  get cluster(): ClusterRecord | null {
    return this.#singles.cluster;
  }

  get authority(): AuthorityRecord | null {
    return this.#singles.authority;
  }

  get swarm(): SwarmRecord | null {
    return this.#singles.swarm;
  }

  /** Replaces a single record. */
  set<K extends keyof Singles>(name: K, value: Singles[K]): void {
    const before = this.#singles[name];
    this.#undo.push(() => (this.#singles[name] = before));
    this.#singles[name] = value;
  }

  /** Adds or replaces a record of `table`, one of this object's maps. */
  put<K, V>(table: Map<K, V>, key: K, value: V): void {
    const before = table.get(key);
    this.#undo.push(before === undefined ? () => table.delete(key) : () => table.set(key, before));
    table.set(key, value);
  }

  /** Removes a record of `table`, if it is there. */
  drop<K, V>(table: Map<K, V>, key: K): void {
    const before = table.get(key);
    if (before === undefined) return;
    this.#undo.push(() => table.set(key, before));
    table.delete(key);
  }

  /** Where the undo log stands, for {@link rollback}. */
  mark(): number {
    return this.#undo.length;
  }

  /** Takes back, newest first, what was changed since `mark`. */
  rollback(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()!();
  }

  /** Forgets how to undo: what was changed stays. */
  release(): void {
    this.#undo.length = 0;
  }
}
