/** Which drivers there are; the only file that names them all. Options and code are imported when asked for, so that no cloud's SDK is loaded for another. */
import type { DriverBlock } from '../src/inventory/settings.ts';
import type { Driver, OrderedMachine } from '../src/provision/driver.ts';
import type { Parts } from '../src/provision/parts.ts';
import type { Estimate } from '../src/provision/rate-limit.ts';
import type { SpotPrices } from '../src/provision/sizes.ts';
import type { Snapshots } from '../src/provision/snapshots.ts';

/** A driver and what stands beside it. */
interface Registered {
  readonly block: () => Promise<DriverBlock>;
  /** `options` were checked by the block's schema. */
  readonly create: (options: never) => Promise<Driver>;
  /** Its list never lags: what was made is on it, and what is not on it will not come. */
  readonly listsAtOnce?: true;
  /** What a create costs at the cloud's limits; left out where there are none. */
  readonly estimate?: (options: never, machines: readonly OrderedMachine[]) => Promise<Estimate>;
  /** What a cluster has there besides machines; left out where that is nothing. */
  readonly parts?: (options: never) => Promise<Parts>;
  /** Snapshots of machines; left out where belt takes none. */
  readonly snapshots?: (options: never) => Promise<Snapshots>;
  /** What `--spot` costs now; left out where the cloud's API does not tell. */
  readonly spotPrices?: (options: never) => Promise<SpotPrices>;
}

/** A block whose schema is one `v.strictObject`; the cast is because valibot's object types are invariant in their entries. */
function block(name: string, schema: unknown, environment: DriverBlock['environment'] = {}): DriverBlock {
  return { name, schema: schema as DriverBlock['schema'], environment };
}

export const DRIVERS: Readonly<Record<string, Registered>> = {
  local: {
    block: async () => block('local', (await import('./local/options.ts')).LocalOptions),
    create: async (options) => (await import('./local/driver.ts')).createDriver(options),
    listsAtOnce: true,
  },
  docker: {
    block: async () => block('docker', (await import('./docker/options.ts')).DockerOptions),
    create: async (options) => (await import('./docker/driver.ts')).createDriver(options),
    listsAtOnce: true,
  },
  digitalocean: {
    block: async () => {
      const { DigitalOceanOptions, ENVIRONMENT } = await import('./digitalocean/options.ts');
      return block('digitalocean', DigitalOceanOptions, ENVIRONMENT);
    },
    create: async (options) => (await import('./digitalocean/driver.ts')).createDriver(options),
    estimate: async (options, machines) => (await import('./digitalocean/estimate.ts')).estimateCreate(options, machines),
    parts: async (options) => (await import('./digitalocean/parts.ts')).createParts(options),
    snapshots: async (options) => (await import('./digitalocean/snapshots.ts')).createSnapshots(options),
  },
  ec2: {
    block: async () => {
      const { Ec2Options, ENVIRONMENT } = await import('./ec2/options.ts');
      return block('ec2', Ec2Options, ENVIRONMENT);
    },
    create: async (options) => (await import('./ec2/driver.ts')).createDriver(options),
    estimate: async (options, machines) => (await import('./ec2/estimate.ts')).estimateCreate(options, machines),
    parts: async (options) => (await import('./ec2/parts.ts')).createParts(options),
    snapshots: async (options) => (await import('./ec2/snapshots.ts')).createSnapshots(options),
    spotPrices: async (options) => (await import('./ec2/spot-prices.ts')).createSpotPrices(options),
  },
  azure: {
    block: async () => {
      const { AzureOptions, ENVIRONMENT } = await import('./azure/options.ts');
      return block('azure', AzureOptions, ENVIRONMENT);
    },
    create: async (options) => (await import('./azure/driver.ts')).createDriver(options),
    estimate: async (options, machines) => (await import('./azure/estimate.ts')).estimateCreate(options, machines),
    parts: async (options) => (await import('./azure/parts.ts')).createParts(options),
    snapshots: async (options) => (await import('./azure/snapshots.ts')).createSnapshots(options),
  },
  generic: {
    block: async () => block('generic', (await import('./generic/options.ts')).GenericOptions),
    create: async (options) => (await import('./generic/driver.ts')).createDriver(options),
    listsAtOnce: true,
  },
};

/** The blocks of all drivers, in the order of the table: small schemas, no SDK. */
export function driverBlocks(): Promise<DriverBlock[]> {
  return Promise.all(Object.values(DRIVERS).map((driver) => driver.block()));
}
