/** The `generic:` block of the configuration: hosts that exist already. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import * as v from 'valibot';

const User = v.pipe(v.string(), v.regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'must be a user name such as root'));
const Address = v.pipe(v.string(), v.ipv4('must be an IPv4 address such as 203.0.113.7'));
const Port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));

/** `admin@203.0.113.7:2222`, user and port as one likes. */
const SHORT = /^(?:([a-z_][a-z0-9_-]{0,31})@)?(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?$/;
const Short = v.pipe(
  v.string(),
  v.regex(SHORT, 'must be [USER@]ADDRESS[:PORT], or a block with address:'),
  v.transform((text) => {
    const [, user, address = '', port] = SHORT.exec(text) ?? [];
    return { address, ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port: Number(port) }) };
  }),
);

const HostBlock = v.strictObject({
  address: Address,
  /** The machine this host becomes; a host without a name becomes any machine that is asked for. */
  name: v.optional(v.pipe(v.string(), v.regex(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/, 'must be a host name'))),
  port: v.optional(Port),
  user: v.optional(User),
  /** Where it stands, the failure domain of the planner: a rack, a room, a site. */
  region: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'must be a word such as rack1'))),
  /** Its address among the hosts. */
  private_address: v.optional(Address),
  /** Its memory in MB; only hosts with one can be asked for by size. */
  memory_mb: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
});
// Not a union: that would say of a wrong block only that it is neither.
const Host = v.pipe(v.lazy((input) => (typeof input === 'string' ? Short : HostBlock) as typeof HostBlock), HostBlock);
export type HostOptions = v.InferOutput<typeof HostBlock>;

export const GenericOptions = v.strictObject({
  /** The hosts, each a block or `[USER@]ADDRESS[:PORT]`. */
  hosts: v.optional(
    v.pipe(
      v.array(Host),
      v.maxLength(10_000, 'must be 10,000 hosts at most'),
      v.check((hosts) => isUnique(hosts.map(hostId)), 'must name each address and port once'),
      v.check((hosts) => isUnique(hosts.flatMap((host) => host.name ?? [])), 'must give each name once'),
    ),
    [],
  ),
  /** Who logs in where the host does not say. */
  ssh_user: v.optional(User, 'root'),
  /** Folder that notes which cluster has which host. Default: `belt/generic` in the user's state folder. */
  home: v.optional(v.pipe(v.string(), v.nonEmpty())),
  /** How long a host may take to greet, seconds; one that does not is `off`. */
  timeout: v.optional(v.pipe(v.number(), v.minValue(0.05), v.maxValue(60)), 3),
  /** Hosts looked at at once. */
  concurrency: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000)), 256),
});
export type GenericOptions = v.InferOutput<typeof GenericOptions>;

/** The id of a machine is where its host listens. */
export function hostId(host: Pick<HostOptions, 'address' | 'port'>): string {
  return `${host.address}:${host.port ?? SSH_PORT}`;
}
export const SSH_PORT = 22;

/** Absolute folder of the claims. */
export function claimsFolder(options: Pick<GenericOptions, 'home'>, env: Readonly<Record<string, string | undefined>>): string {
  return options.home === undefined ? join(env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state'), 'belt', 'generic') : resolve(options.home);
}

function isUnique(words: readonly string[]): boolean {
  return new Set(words).size === words.length;
}
