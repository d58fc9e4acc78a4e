/** The `ec2:` block of the configuration, checked before the first call. */
import * as v from 'valibot';

const Cidr = v.pipe(v.string(), v.regex(/^(anywhere|(\d{1,3}\.){3}\d{1,3}(\/([0-9]|[12][0-9]|3[0-2]))?)$/, 'must be an IPv4 address, a network such as 203.0.113.0/24, or anywhere'));
const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(255));
const Region = v.pipe(v.string(), v.regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region such as eu-west-1'));

export const Ec2Options = v.strictObject({
  /** Static credentials; left out, the AWS SDK's own chain is asked (environment, profile, instance role). */
  access_key_id: v.optional(Name),
  secret_access_key: v.optional(Name),
  session_token: v.optional(v.pipe(v.string(), v.minLength(1))),
  region: v.optional(Region, 'us-east-1'),
  /** Regions that are searched for machines; left out: every region the account has enabled. */
  regions: v.optional(v.pipe(v.array(Region), v.minLength(1))),
  /** An image id; left out: Canonical's newest Ubuntu 24.04 of the region. */
  image: v.optional(v.pipe(v.string(), v.regex(/^ami-[0-9a-f]{8,17}$/, 'must be an image id such as ami-0123456789abcdef0'))),
  ssh_user: v.optional(v.pipe(v.string(), v.regex(/^[a-z_][a-z0-9_-]{0,31}$/)), 'ubuntu'),
  /** A key pair of the account that may log in besides the cluster's own. */
  ssh_key_fingerprint: v.optional(Name),
  /** A subnet to use instead of the default VPC's. */
  subnet: v.optional(v.pipe(v.string(), v.regex(/^subnet-[0-9a-f]{8,17}$/))),
  /** From where operators reach ports 22, 2376 and 2378. `anywhere` opens 22 and 2378 (both want a key) and keeps 2376 closed. */
  allow_from: v.optional(v.pipe(v.array(Cidr), v.minLength(1), v.maxLength(50))),
  /** False: no security group of ours; give `security_groups`. */
  firewall: v.optional(v.boolean(), true),
  security_groups: v.optional(v.array(v.pipe(v.string(), v.regex(/^sg-[0-9a-f]{8,17}$/))), []),
  /** Root disk in GB; left out: the image's own. */
  disk_gb: v.optional(v.pipe(v.number(), v.integer(), v.minValue(8), v.maxValue(16_384))),
  /** Whether another zone, and which other sizes, may be tried when the first has no capacity. */
  fallback_zones: v.optional(v.boolean(), false),
  fallback_types: v.optional(v.array(Name), []),
  /** True: a batch of up to 100 machines starts whole or not at all; false: as many as there is room for. */
  whole_batches: v.optional(v.boolean(), false),
  /** Multiplies the refill of every rate limit: an account's raised limits, 1 is AWS's default. */
  limit_scale: v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(1000)), 1),
  endpoint: v.optional(v.pipe(v.string(), v.url())),
});
export type Ec2Options = v.InferOutput<typeof Ec2Options>;

/** Which environment variable gives which key, first found first. */
export const ENVIRONMENT = {
  access_key_id: ['AWS_ACCESS_KEY_ID'],
  secret_access_key: ['AWS_SECRET_ACCESS_KEY'],
  session_token: ['AWS_SESSION_TOKEN'],
  region: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
  image: ['AWS_AMI'],
  ssh_user: ['AWS_SSH_USER'],
  subnet: ['AWS_SUBNET_ID'],
  endpoint: ['AWS_ENDPOINT_URL_EC2', 'AWS_ENDPOINT_URL'],
} as const satisfies Partial<Record<keyof Ec2Options, readonly string[]>>;
