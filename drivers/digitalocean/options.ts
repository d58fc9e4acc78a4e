/** The `digitalocean:` block of the configuration, checked before the first call. */
import * as v from 'valibot';

const Cidr = v.pipe(v.string(), v.regex(/^(anywhere|(\d{1,3}\.){3}\d{1,3}(\/([0-9]|[12][0-9]|3[0-2]))?)$/, 'must be an IPv4 address, a network such as 203.0.113.0/24, or anywhere'));
const count = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));

export const DigitalOceanOptions = v.strictObject({
  /** The account's token (`DIGITALOCEAN_ACCESS_TOKEN`). */
  token: v.optional(v.pipe(v.string(), v.minLength(1))),
  region: v.optional(v.pipe(v.string(), v.regex(/^[a-z]{3}[0-9]?$/, 'must be a region such as sgp1')), 'nyc3'),
  image: v.optional(v.pipe(v.string(), v.minLength(1)), 'debian-12-x64'),
  ssh_user: v.optional(v.pipe(v.string(), v.regex(/^[a-z_][a-z0-9_-]{0,31}$/)), 'root'),
  /** A key that is in the account already and may log in besides the cluster's own. */
  ssh_key_fingerprint: v.optional(v.pipe(v.string(), v.regex(/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/, 'must be an MD5 fingerprint such as the account page shows'))),
  /** From where operators reach ports 22, 2376 and 2378. `anywhere` opens 22 and 2378 (both want a key) and keeps 2376 closed. */
  allow_from: v.optional(v.pipe(v.array(Cidr), v.minLength(1), v.maxLength(100))),
  /** False: no firewall of ours; the ports are the operator's own business. */
  firewall: v.optional(v.boolean(), true),
  monitoring: v.optional(v.boolean(), false),
  ipv6: v.optional(v.boolean(), false),
  /** Calls an hour and in any minute; what the API gives a token. */
  calls_per_hour: v.optional(count(1, 1_000_000), 5_000),
  calls_per_minute: v.optional(count(1, 100_000), 250),
  /** Calls under way at once. */
  concurrency: v.optional(count(1, 32), 8),
  api_url: v.optional(v.pipe(v.string(), v.url()), 'https://api.digitalocean.com/v2/'),
});
export type DigitalOceanOptions = v.InferOutput<typeof DigitalOceanOptions>;

/** Which environment variable gives which key, first found first. */
export const ENVIRONMENT = {
  token: ['DIGITALOCEAN_ACCESS_TOKEN', 'DIGITALOCEAN_TOKEN'],
  region: ['DIGITALOCEAN_REGION'],
  image: ['DIGITALOCEAN_IMAGE'],
  ssh_user: ['DIGITALOCEAN_SSH_USER'],
  ssh_key_fingerprint: ['DIGITALOCEAN_SSH_KEY_FINGERPRINT'],
  api_url: ['DIGITALOCEAN_API_URL'],
} as const satisfies Partial<Record<keyof DigitalOceanOptions, readonly string[]>>;
