/**
 * The replicated state machine: the same commands in the same order give the same state on every manager, whatever their clocks, their
 * release (see the level in `commands.ts`) or the order of their snapshots.
 */
import { BeltError } from '../../errors.ts';
import { applyChange, Refusal } from './changes.ts';
import { COMMAND_LEVEL, type Command } from './commands.ts';
import { RequestTable } from './requests.ts';
import { Tables } from './tables.ts';
import type { CertificateRecord, NodeRecord, WriteResult } from './records.ts';

/** A setting of the state: when the root that alone is trusted began to sign, ms since 1970; none where the CA has never been replaced. */
export const CA_SIGNS_SINCE = 'ca/signs-since';

/** The cluster's state as of one Raft index. Reading it is synchronous and free; what is read is only as fresh as the index (see `Member.read`). */
export class ClusterState {
  readonly tables: Tables;
  readonly requests: RequestTable;
  /** The Raft index of the last entry applied; 0 before the first. */
  index = 0;
  /** The latest time among the commands applied, ms by their proposers' clocks; 0 before the first. */
  at = 0;

  constructor(tables = new Tables(), requests = new RequestTable()) {
    this.tables = tables;
    this.requests = requests;
  }

  /** The node with that id or, failing that, of that name. */
  node(idOrName: string): NodeRecord | undefined {
    const { nodes, nodeIds } = this.tables;
    return nodes.get(idOrName) ?? nodes.get(nodeIds.get(idOrName) ?? '');
  }

  /** Whether the CA that signed it has been replaced since: nobody believes it any more. */
  caDropped({ issuedAt }: CertificateRecord): boolean {
    const signsSince = Number(this.tables.settings.get(CA_SIGNS_SINCE)?.value ?? -Infinity);
    return issuedAt !== null && issuedAt <= signsSince;
  }

  /** Serials that no longer count and have not run out at `now` (ms): what agents keep on disk. */
  revokedSerials(now: number): string[] {
    const serials = [];
    for (const certificate of this.tables.certificates.values()) if (certificate.revokedAt !== null && certificate.notAfter > now) serials.push(certificate.serial);
    return serials.sort();
  }

  /**
   * Applies the command of the entry at `index`, which must be above the last one. A command the state refuses changes nothing but the
   * table of requests. Throws `BeltError('state_newer')` when the cluster's level is above this release: the member must stop.
   */
  apply(index: number, command: Command): WriteResult {
    this.index = index;
    this.at = Math.max(this.at, command.at);
    const known = this.requests.result(command);
    if (known !== null) return known;
    const result = this.#decide(index, command);
    this.requests.remember(command, result);
    return result;
  }

  #decide(index: number, command: Command): WriteResult {
    const clusterLevel = this.tables.cluster?.level ?? 1;
    const wanted = command.change.type === 'cluster.level' ? command.change.level : clusterLevel;
    if (Math.max(clusterLevel, wanted) > COMMAND_LEVEL) {
      throw new BeltError('state_newer', `the cluster moved to level ${Math.max(clusterLevel, wanted)}, this manager's release understands ${COMMAND_LEVEL}`, {
        next: 'upgrade the belt-agent of this manager; it rejoins by itself',
      });
    }
    if (command.level > clusterLevel) return { ok: false, code: 'bad_request', message: `the command is of level ${command.level}, the cluster's managers are at ${clusterLevel}` };
    const mark = this.tables.mark();
    try {
      applyChange(this.tables, { index, at: command.at }, command.change);
      return { ok: true, revision: index };
    } catch (error) {
      this.tables.rollback(mark);
      if (error instanceof Refusal) return { ok: false, code: error.code, message: error.message };
      throw error;
    } finally {
      this.tables.release();
    }
  }
}
