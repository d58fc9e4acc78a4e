/**
 * Who may be what, and for how long. A certificate says one thing: this key is `name` in `role` of cluster `cluster`. It is said once, in a
 * URI of the subject alternative names, `belt://<cluster id>/<role>/<name>`; the subject repeats it for people.
 */
import { BeltError } from '../errors.ts';

/** `operator`: a person or script with the CLI. `machine`: node plane only, before a role. `worker`, `manager`: nodes. */
export type Role = 'operator' | 'machine' | 'worker' | 'manager';
export const ROLES: readonly Role[] = ['operator', 'machine', 'worker', 'manager'];

/** What a certificate says. */
export interface Identity {
  /** The cluster's id: 32 lower-case hex digits. */
  readonly cluster: string;
  readonly role: Role;
  /** Node id, machine name or operator name. */
  readonly name: string;
}

const DAY_MS = 86_400_000;
/** Lifetimes, milliseconds (design, section 8). */
export const LIFETIME_MS: Readonly<Record<Role, number>> = { operator: 90 * DAY_MS, machine: 30 * DAY_MS, worker: 30 * DAY_MS, manager: 30 * DAY_MS };
/** A CA outlives every certificate it signs by far; it is rotated, not waited for. */
export const AUTHORITY_LIFETIME_MS = 3650 * DAY_MS;
/** Certificates start this much in the past, so that a machine whose clock is behind accepts a fresh one. */
export const BACKDATE_MS = 300_000;

const CLUSTER = /^[0-9a-f]{32}$/;
const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

/** The URI of an identity; throws a plain `Error` for one that could not be read back. */
export function identityUri({ cluster, role, name }: Identity): string {
  if (!CLUSTER.test(cluster)) throw new Error(`"${cluster}" is not a cluster id`);
  if (!NAME.test(name)) throw new Error(`"${name}" cannot stand in a certificate`);
  return `belt://${cluster}/${role}/${name}`;
}

/** The identity a URI says; throws `certificate` where it says none. */
export function parseIdentityUri(uri: string): Identity {
  const [, cluster = '', role = '', name = ''] = /^belt:\/\/([^/]*)\/([^/]*)\/([^/]*)$/.exec(uri) ?? [];
  if (!CLUSTER.test(cluster) || !ROLES.includes(role as Role) || !NAME.test(name)) throw new BeltError('certificate', 'the certificate names nobody of a belt cluster');
  return { cluster, role: role as Role, name };
}
