/**
 * What a machine may be called: one label of a host name (RFC 1123), because the name becomes the machine's host name, part of a
 * certificate and of cloud resources; lower case, because clouds fold it and two names must not differ by case alone.
 */

/** Longest name, characters: the longest label of a host name. */
export const NAME_LENGTH_MAX = 63;

/** Most names one range may give. */
export const NAMES_MAX = 10_000;

const NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** Names under which JavaScript keeps things of its own in every object: what is filed under them is not found again. */
export const RESERVED: ReadonlySet<string> = new Set(['constructor', 'prototype']);

/** Why `name` is no machine name; null when it is one. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'a name is missing';
  if (name.length > NAME_LENGTH_MAX) return `"${name.slice(0, 20)}…" is longer than ${NAME_LENGTH_MAX} characters`;
  if (RESERVED.has(name)) return `"${name}" is a word that belt cannot file a machine under`;
  if (NAME.test(name)) return null;
  if (/[A-Z]/.test(name)) return `"${name}" has capital letters; names are lower case`;
  if (/^-|-$/.test(name)) return `"${name}" starts or ends with "-"`;
  return `"${name}" may have letters, digits and "-" only`;
}
