/** `state.json` as text. Older versions are brought up step by step. Pure. */
import { crc32 } from 'node:zlib';

import * as v from 'valibot';

import { BeltError } from '../errors.ts';
import { type Format, unwrap, wrap } from './envelope.ts';
import { type ClusterState, StateBody } from './state.ts';

/** The version that this belt writes. */
export const STATE_VERSION = 4;

/** Each takes the body of version N to N+1; never changed once published. */
const MIGRATIONS: Readonly<Record<number, (body: Record<string, unknown>) => Record<string, unknown>>> = {
  // 2 remembers which machines were about to be destroyed.
  1: (body) => ({ ...body, removals: {} }),
  // 3 has its version under the checksum too.
  2: (body) => body,
  // 4 has a CRC for a checksum.
  3: (body) => body,
};

const FORMAT: Format = {
  name: 'belt-state', version: STATE_VERSION, key: 'body', checksum,
  damaged: (file, why, cause) =>
    new BeltError('state_damaged', `${file} is damaged: ${why}; it was left as it is`, {
      cause, next: `mv ${file} ${file}.damaged, then belt cluster new with the same name, then belt doctor --adopt: it finds the machines by their tags`,
    }),
};

export function encodeState(state: ClusterState): string {
  return wrap(FORMAT, state);
}

/**
 * Against damage, not against people, who could write any checksum as well: a CRC does, and node:crypto alone would be a tenth of a start.
 * SHA-256 before version 4, and before version 3 over the body alone.
 */
function checksum(version: number, body: string): string {
  const covered = version < 3 ? body : `${version}:${body}`;
  if (version < 4) return process.getBuiltinModule('node:crypto').createHash('sha256').update(covered).digest('hex');
  return crc32(covered).toString(16).padStart(8, '0');
}

/** Reads the text of `file` (its name is for the message). Throws `state_damaged` or `state_newer`. */
export function decodeState(content: string, file: string): ClusterState {
  const { version, body } = unwrap(FORMAT, content, file);
  const state = v.safeParse(StateBody, migrate(body, version));
  if (!state.success) throw FORMAT.damaged(file, `${v.getDotPath(state.issues[0]) ?? 'body'}: ${state.issues[0].message}`);
  return state.output;
}

/** The body as the current version has it. */
export function migrate(body: Record<string, unknown>, from: number): Record<string, unknown> {
  let at = body;
  for (let version = from; version < STATE_VERSION; version += 1) {
    const step = MIGRATIONS[version];
    if (step === undefined) throw new Error(`no migration from state version ${version}`);
    at = step(at);
  }
  return at;
}
