/**
 * `state.json` as text: a header with format version and checksum around the state, so that damage, half a file and a newer belt's file are told
 * apart and nothing is ever guessed. Older versions are brought up step by step. Pure.
 */
import { createHash } from 'node:crypto';

import * as v from 'valibot';

import { BeltError } from '../errors.ts';
import { type ClusterState, StateBody } from './state.ts';

/** The version that this belt writes. */
export const STATE_VERSION = 3;

/** Each takes the body of version N to N+1; never changed once published. */
const MIGRATIONS: Readonly<Record<number, (body: Record<string, unknown>) => Record<string, unknown>>> = {
  // 2 remembers which machines were about to be destroyed.
  1: (body) => ({ ...body, removals: {} }),
  // 3 has its version under the checksum too.
  2: (body) => body,
};

const Envelope = v.object({ format: v.literal('belt-state'), version: v.pipe(v.number(), v.integer(), v.minValue(1)), checksum: v.string(), body: v.record(v.string(), v.unknown()) });

export function encodeState(state: ClusterState): string {
  const body = JSON.stringify(state);
  return `{"format":"belt-state","version":${STATE_VERSION},"checksum":"${checksum(STATE_VERSION, body)}","body":${body}}\n`;
}

/** Over version and body; before version 3 over the body alone, so that a damaged digit of the version went unseen. */
function checksum(version: number, body: string): string {
  return createHash('sha256').update(version < 3 ? body : `${version}:${body}`).digest('hex');
}

/** Reads the text of `file` (its name is for the message). Throws `state_damaged` or `state_newer`. */
export function decodeState(content: string, file: string): ClusterState {
  const damaged = (why: string, cause?: unknown): BeltError =>
    new BeltError('state_damaged', `${file} is damaged: ${why}; it was left as it is`, {
      cause, next: `mv ${file} ${file}.damaged, then belt cluster new with the same name, then belt doctor --adopt: it finds the machines by their tags`,
    });
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch (error) {
    throw damaged(content === '' ? 'it is empty' : 'it ends too early or is no JSON', error);
  }
  const envelope = v.safeParse(Envelope, parsed);
  if (!envelope.success) throw damaged('it has no header of belt');
  const { version, body } = envelope.output;
  if (version > STATE_VERSION) {
    throw new BeltError('state_newer', `${file} was written by a newer belt (format ${version}, this one knows ${STATE_VERSION})`, { next: 'use the belt that wrote it, or a newer one' });
  }
  if (checksum(version, JSON.stringify(body)) !== envelope.output.checksum) throw damaged('its checksum does not match');
  const state = v.safeParse(StateBody, migrate(body, version));
  if (!state.success) throw damaged(`${v.getDotPath(state.issues[0]) ?? 'body'}: ${state.issues[0].message}`);
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
