/**
 * The files that belt writes for itself: a header with format, version and checksum around a body, so that damage, half a file and a newer
 * belt's file are told apart and nothing is ever guessed. Pure.
 */
import * as v from 'valibot';

import { BeltError } from '../errors.ts';

export interface Format {
  /** As in the header. */
  readonly name: `belt-${string}`;
  /** The version that this belt writes; older ones are read. */
  readonly version: number;
  /** The key under which the body stands. */
  readonly key: string;
  /** Over the version too, so that a damaged digit of it is seen. */
  readonly checksum: (version: number, body: string) => string;
  /** `state_damaged`, in the words of this kind of file. */
  readonly damaged: (file: string, why: string, cause?: unknown) => BeltError;
}

/** The text of a file with `body` in it. */
export function wrap({ name, version, key, checksum }: Format, body: object): string {
  const text = JSON.stringify(body);
  return `{"format":"${name}","version":${version},"checksum":"${checksum(version, text)}","${key}":${text}}\n`;
}

/** The body in the text of `file` (its name is for the message) and the version that wrote it. Throws `state_damaged` or `state_newer`. */
export function unwrap(format: Format, text: string, file: string): { version: number; body: Record<string, unknown> } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw format.damaged(file, text === '' ? 'it is empty' : 'it ends too early or is no JSON', error);
  }
  const header = v.safeParse(v.object({ format: v.literal(format.name), version: v.pipe(v.number(), v.integer(), v.minValue(1)), checksum: v.string() }), parsed);
  const body = v.safeParse(v.record(v.string(), v.unknown()), (parsed as Record<string, unknown> | null)?.[format.key]);
  if (!header.success || !body.success) throw format.damaged(file, 'it has no header of belt');
  const { version, checksum } = header.output;
  if (version > format.version) {
    throw new BeltError('state_newer', `${file} was written by a newer belt (format ${version}, this one knows ${format.version})`, { next: 'use the belt that wrote it, or a newer one' });
  }
  if (format.checksum(version, JSON.stringify(body.output)) !== checksum) throw format.damaged(file, 'its checksum does not match');
  return { version, body: body.output };
}
