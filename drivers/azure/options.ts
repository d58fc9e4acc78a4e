/** The `azure:` block of the configuration, checked before the first call. */
import * as v from 'valibot';

const Cidr = v.pipe(v.string(), v.regex(/^(anywhere|(\d{1,3}\.){3}\d{1,3}(\/([0-9]|[12][0-9]|3[0-2]))?)$/, 'must be an IPv4 address, a network such as 203.0.113.0/24, or anywhere'));
const Uuid = v.pipe(v.string(), v.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'must be an id such as 01234567-89ab-cdef-0123-456789abcdef'));
const count = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));

export const AzureOptions = v.strictObject({
  subscription_id: v.optional(Uuid),
  /** A service principal; left out, the Azure CLI's login is used. */
  tenant_id: v.optional(Uuid),
  client_id: v.optional(v.pipe(v.string(), v.minLength(1))),
  client_secret: v.optional(v.pipe(v.string(), v.minLength(1))),
  region: v.optional(v.pipe(v.string(), v.regex(/^[a-z]+[0-9]?$/, 'must be a location such as westeurope')), 'westeurope'),
  /** publisher:offer:sku:version */
  image: v.optional(v.pipe(v.string(), v.regex(/^[^:]+:[^:]+:[^:]+:[^:]+$/, 'must be publisher:offer:sku:version')), 'Canonical:ubuntu-24_04-lts:server:latest'),
  /** Azure refuses root and admin. */
  ssh_user: v.optional(v.pipe(v.string(), v.regex(/^(?!root$|admin$)[a-z_][a-z0-9_-]{0,31}$/, 'must be a user name other than root and admin')), 'belt'),
  /** From where operators reach ports 22, 2376 and 2378. `anywhere` opens 22 and 2378 (both want a key) and keeps 2376 closed. */
  allow_from: v.optional(v.pipe(v.array(Cidr), v.minLength(1), v.maxLength(100))),
  firewall: v.optional(v.boolean(), true),
  /** Each machine gets a public address; without, belt must run inside the network. */
  public_addresses: v.optional(v.boolean(), true),
  /** Orders of this many machines and more become scale sets: a few calls instead of three a machine. */
  scale_set_from: v.optional(count(2, 100_000), 50),
  fallback_types: v.optional(v.array(v.pipe(v.string(), v.minLength(1))), []),
  /** Multiplies the refill of every rate limit; 1 is Azure's default. */
  limit_scale: v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(1000)), 1),
  /** Azure Resource Manager and its login server; another cloud's, or a fake. */
  endpoint: v.optional(v.pipe(v.string(), v.url())),
  authority_host: v.optional(v.pipe(v.string(), v.url())),
  /** A file of certificates (PEM) to trust besides the system's. */
  ca_file: v.optional(v.pipe(v.string(), v.minLength(1))),
});
export type AzureOptions = v.InferOutput<typeof AzureOptions>;

/** Which environment variable gives which key, first found first. */
export const ENVIRONMENT = {
  subscription_id: ['AZURE_SUBSCRIPTION_ID'],
  tenant_id: ['AZURE_TENANT_ID'],
  client_id: ['AZURE_CLIENT_ID'],
  client_secret: ['AZURE_CLIENT_SECRET'],
  region: ['AZURE_LOCATION'],
  image: ['AZURE_IMAGE'],
  ssh_user: ['AZURE_SSH_USER'],
  endpoint: ['AZURE_RESOURCE_MANAGER_ENDPOINT'],
  authority_host: ['AZURE_AUTHORITY_HOST'],
  ca_file: ['AZURE_CA_FILE'],
} as const satisfies Partial<Record<keyof AzureOptions, readonly string[]>>;
