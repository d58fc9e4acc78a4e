/**
 * The state as bytes: lines of JSON, one a record, in an order that is the same on every member, so that equal states have equal bytes and
 * their hashes can be compared. A snapshot is taken by copying the tables' maps (the records are shared, none is ever changed) and is
 * turned into bytes piece by piece afterwards, while the living state goes on.
 */
import { createHash } from 'node:crypto';
import { BeltError } from '../../errors.ts';
import type { AuthorityRecord, CertificateRecord, ClusterRecord, NodeRecord, OperationRecord, SettingRecord, SwarmRecord, TokenRecord } from './records.ts';
import { RequestTable, type RememberedRequest } from './requests.ts';
import { ClusterState } from './state.ts';
import { Tables } from './tables.ts';

/** The format of the lines; a higher one is refused. */
const FORMAT = 1;
/** About the size of the pieces, bytes: little enough that making one holds up nothing. */
const PIECE_BYTES = 64 * 1024;

/** A line: what it is, then the record. */
type Line =
  | readonly ['state', { readonly format: number; readonly index: number; readonly at: number; readonly horizon: number }]
  | readonly ['cluster', ClusterRecord]
  | readonly ['authority', AuthorityRecord]
  | readonly ['swarm', SwarmRecord]
  | readonly ['token', TokenRecord]
  | readonly ['node', NodeRecord]
  | readonly ['certificate', CertificateRecord]
  | readonly ['operation', OperationRecord]
  | readonly ['setting', SettingRecord]
  | readonly ['request', RememberedRequest];

/** The state as it is now, to be encoded later: a shallow copy. */
export function freeze(state: ClusterState): () => Generator<Buffer, void> {
  const { tables, index, at } = state;
  const head: Line[] = [['state', { format: FORMAT, index, at, horizon: state.requests.horizon }]];
  if (tables.cluster !== null) head.push(['cluster', tables.cluster]);
  if (tables.authority !== null) head.push(['authority', tables.authority]);
  if (tables.swarm !== null) head.push(['swarm', tables.swarm]);
  const tokens = [...tables.tokens];
  const nodes = [...tables.nodes];
  const certificates = [...tables.certificates];
  const operations = [...tables.operations];
  const settings = [...tables.settings];
  const requests = state.requests.oldestFirst();
  return function* encode() {
    function* lines(): Generator<Line, void> {
      yield* head;
      for (const record of sorted(tokens)) yield ['token', record];
      for (const record of sorted(nodes)) yield ['node', record];
      for (const record of sorted(certificates)) yield ['certificate', record];
      for (const record of sorted(operations)) yield ['operation', record];
      for (const record of sorted(settings)) yield ['setting', record];
      for (const record of requests) yield ['request', record];
    }
    let piece = '';
    for (const line of lines()) {
      piece += `${JSON.stringify(line)}\n`;
      if (piece.length < PIECE_BYTES) continue;
      yield Buffer.from(piece);
      piece = '';
    }
    if (piece !== '') yield Buffer.from(piece);
  };
}

function sorted<V>(records: [string, V][]): V[] {
  return records.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record);
}

/** The whole state as bytes. */
export function encodeState(state: ClusterState): Buffer {
  return Buffer.concat([...freeze(state)()]);
}

/** The hash that members compare: SHA-256 of {@link encodeState}, lower-case hex. It covers the index, so compare it at the same one. */
export function stateHash(state: ClusterState): string {
  const hash = createHash('sha256');
  for (const piece of freeze(state)()) hash.update(piece);
  return hash.digest('hex');
}

/** The state that `bytes` encode. Throws `BeltError('state_newer')` for a format of a newer release, `BeltError('log_corrupt')` for anything else. */
export function decodeState(bytes: Buffer): ClusterState {
  const restoring = new Restoring();
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(10, start);
    if (end === -1) throw new BeltError('log_corrupt', 'the snapshot of the state ends in the middle of a record');
    restoring.line(JSON.parse(bytes.toString('utf8', start, end)) as Line);
    start = end + 1;
  }
  return restoring.state;
}

class Restoring {
  readonly #tables = new Tables();
  readonly #requests = new RequestTable();
  readonly state = new ClusterState(this.#tables, this.#requests);

  line([kind, record]: Line): void {
    const tables = this.#tables;
    switch (kind) {
      case 'state': return this.#head(record);
      case 'cluster': case 'authority': case 'swarm': tables.set(kind, record as never); break;
      case 'token': tables.put(tables.tokens, record.role, record); break;
      case 'node':
        tables.put(tables.nodes, record.id, record);
        tables.put(tables.nodeIds, record.name, record.id);
        break;
      case 'certificate': tables.put(tables.certificates, record.serial, record); break;
      case 'operation': tables.put(tables.operations, record.id, record); break;
      case 'setting': tables.put(tables.settings, record.key, record); break;
      case 'request': this.#requests.restore(record); break;
      default: throw new BeltError('state_newer', `the snapshot holds records of a newer release (${String(kind)})`, { next: 'upgrade the belt-agent of this manager' });
    }
    tables.release();
  }

  #head({ format, index, at, horizon }: Extract<Line, readonly ['state', unknown]>[1]): void {
    if (format > FORMAT) throw new BeltError('state_newer', `the snapshot is of format ${format}, this release reads ${FORMAT}`, { next: 'upgrade the belt-agent of this manager' });
    this.state.index = index;
    this.state.at = at;
    this.#requests.horizon = horizon;
  }
}
