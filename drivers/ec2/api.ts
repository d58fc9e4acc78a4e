/**
 * EC2's API of one region as belt calls it: one client with the SDK's own retries off, a bucket for each of EC2's limits, and retries in one
 * place. The SDK is loaded when the first region is opened.
 */
import type * as Sdk from '@aws-sdk/client-ec2';
import { BeltError } from '../../src/errors.ts';
import { RateLimiter, realPace, type Pace } from '../../src/provision/rate-limit.ts';
import { CLOUD_RETRY, LOOK_RETRY, withRetry, type RetryPolicy } from '../../src/provision/retry.ts';
import { failureOf, type Failure } from './errors.ts';
import { limitsOf } from './limits.ts';
import type { Ec2Options } from './options.ts';

export interface Ec2Ports {
  readonly pace?: Pace;
  readonly random?: () => number;
  readonly retry?: RetryPolicy;
}

const PAGE = 1000;
const PAGES_MAX = 100;

/** The tag whose presence says that belt made it. */
export const OURS = 'belt';

/** A failed call with what EC2 called it and whether it may have had its effect. */
export class Ec2Failure extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}

type Command = Parameters<Sdk.EC2Client['send']>[0];

export class Ec2Region {
  readonly name: string;
  readonly sdk: typeof Sdk;
  readonly #client: Sdk.EC2Client;
  readonly #limiter: RateLimiter;
  readonly #ports: Ec2Ports;

  private constructor(name: string, sdk: typeof Sdk, client: Sdk.EC2Client, limiter: RateLimiter, ports: Ec2Ports) {
    this.name = name;
    this.sdk = sdk;
    this.#client = client;
    this.#ports = ports;
    this.#limiter = limiter;
  }

  /** The same region with less patience when it is down. */
  look(): Ec2Region {
    return new Ec2Region(this.name, this.sdk, this.#client, this.#limiter, { ...this.#ports, retry: LOOK_RETRY });
  }

  static async open(name: string, options: Ec2Options, ports: Ec2Ports): Promise<Ec2Region> {
    const sdk = await import('@aws-sdk/client-ec2');
    const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken } = options;
    const client = new sdk.EC2Client({
      region: name,
      maxAttempts: 1,
      ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
      ...(accessKeyId === undefined || secretAccessKey === undefined ? {} : { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }),
      // Without throwOnRequestTimeout the SDK only warns about a request that hangs.
      requestHandler: { connectionTimeout: 5_000, requestTimeout: 60_000, throwOnRequestTimeout: true, httpsAgent: { maxSockets: 16 } },
    });
    return new Ec2Region(name, sdk, client, new RateLimiter(limitsOf(options.limit_scale), ports.pace ?? realPace), ports);
  }

  /** One call, paced and not repeated. Throws {@link Ec2Failure}. */
  async once<Output>(bucket: string, command: object, signal: AbortSignal, machines?: { bucket: string; count: number }): Promise<Output> {
    if (machines !== undefined) await this.#limiter.acquire(machines.bucket, machines.count, signal);
    await this.#limiter.acquire(bucket, 1, signal);
    try {
      return (await this.#client.send(command as Command, { abortSignal: signal })) as Output;
    } catch (thrown) {
      const failure = failureOf(thrown);
      if (failure.error.code === 'driver_throttled') this.#limiter.throttled(machines?.bucket ?? bucket, 2_000);
      throw new Ec2Failure(failure);
    }
  }

  /** A call that may be repeated. Throws `BeltError`. */
  async call<Output>(bucket: string, command: object, signal: AbortSignal, machines?: { bucket: string; count: number }): Promise<Output> {
    const { pace, random, retry } = this.#ports;
    return withRetry(
      async () => {
        try {
          return await this.once<Output>(bucket, command, signal, machines);
        } catch (error) {
          throw error instanceof Ec2Failure ? error.failure.error : error;
        }
      },
      signal,
      { pace: pace ?? realPace, policy: retry ?? CLOUD_RETRY, ...(random === undefined ? {} : { random }) },
    );
  }

  /** Like {@link call}; a failure of one of these codes of EC2 counts as done. */
  async callUnless(codes: readonly string[], bucket: string, command: object, signal: AbortSignal): Promise<void> {
    await this.call(bucket, command, signal).catch((error: unknown) => {
      if (!(error instanceof BeltError) || !codes.some((code) => error.message.includes(`${code}:`))) throw error;
    });
  }

  /** All instances with the tags, ended ones left out. */
  async instances(tags: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Sdk.Instance[]> {
    const Filters = [
      { Name: 'instance-state-name', Values: ['pending', 'running', 'stopping', 'stopped'] },
      ...Object.entries(tags).map(([key, value]) => ({ Name: `tag:${key}`, Values: [value] })),
    ];
    const found: Sdk.Instance[] = [];
    let NextToken: string | undefined;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const reply: Sdk.DescribeInstancesCommandOutput = await this.call('describe', new this.sdk.DescribeInstancesCommand({ Filters, MaxResults: PAGE, ...(NextToken === undefined ? {} : { NextToken }) }), signal);
      for (const reservation of reply.Reservations ?? []) found.push(...(reservation.Instances ?? []));
      NextToken = reply.NextToken;
      if (NextToken === undefined || NextToken === '') return found;
    }
    throw new BeltError('driver', `EC2 lists more than ${PAGES_MAX} pages of instances in ${this.name}`);
  }
}
