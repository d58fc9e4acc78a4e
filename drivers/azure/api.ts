/**
 * Azure Resource Manager as belt calls it: one client of each SDK with its retries off, a bucket for each limit, retries in one place. Long
 * operations are begun and then watched by listing, never by a poller each. The SDKs are loaded when the first method needs them.
 */
import { readFileSync } from 'node:fs';
import type { ComputeManagementClient } from '@azure/arm-compute';
import type { NetworkManagementClient } from '@azure/arm-network';
import type { ResourceManagementClient } from '@azure/arm-resources';
import { BeltError } from '../../src/errors.ts';
import { RateLimiter, realPace, type Pace } from '../../src/provision/rate-limit.ts';
import { CLOUD_RETRY, LOOK_RETRY, withRetry, type RetryPolicy } from '../../src/provision/retry.ts';
import { failureOf } from './errors.ts';
import { limitsOf } from './limits.ts';
import type { AzureOptions } from './options.ts';

export interface AzurePorts {
  readonly pace?: Pace;
  readonly random?: () => number;
  readonly retry?: RetryPolicy;
  /** Between two looks at an operation that is waited for, ms; 1,000 when left out: sixteen at once stay below what ARM takes. */
  readonly operationPollMs?: number;
  /** What one request is given, ms; 60,000 when left out. The SDKs have no limit of their own. */
  readonly requestTimeoutMs?: number;
}

export type Lane = 'putVm' | 'changeVm' | 'deleteVm' | 'listVm' | 'putSet' | 'networkWrite' | 'networkRead' | 'group' | 'groupRead';
/** Every call passes ARM's front door as well as its own provider's. */
const DOOR: Readonly<Record<Lane, string>> = {
  putVm: 'armWrite', changeVm: 'armWrite', deleteVm: 'armDelete', listVm: 'armRead', putSet: 'armWrite', networkWrite: 'armWrite', networkRead: 'armRead', group: 'armWrite', groupRead: 'armRead',
};

/** Calls under way at once. */
export const CONCURRENCY = 16;

/** One request is given this long, ms; the SDKs have no limit of their own. */
const REQUEST_TIMEOUT_MS = 60_000;

interface Clients {
  readonly compute: ComputeManagementClient;
  readonly network: NetworkManagementClient;
  readonly resources: ResourceManagementClient;
}

export class AzureApi implements Clients {
  readonly compute: ComputeManagementClient;
  readonly network: NetworkManagementClient;
  readonly resources: ResourceManagementClient;
  /** How networks and addresses, which take seconds, are waited for. */
  readonly wait: { updateIntervalInMs: number };
  readonly #limiter: RateLimiter;
  readonly #ports: AzurePorts;

  private constructor(clients: Clients, limiter: RateLimiter, ports: AzurePorts) {
    this.compute = clients.compute;
    this.network = clients.network;
    this.resources = clients.resources;
    this.#ports = ports;
    this.wait = { updateIntervalInMs: ports.operationPollMs ?? 1_000 };
    this.#limiter = limiter;
  }

  /** The same subscription with less patience when it is down. */
  look(): AzureApi {
    return new AzureApi(this, this.#limiter, { ...this.#ports, retry: LOOK_RETRY });
  }

  /** Loads the SDKs. Throws `config` without a subscription. */
  static async open(options: AzureOptions, ports: AzurePorts): Promise<AzureApi> {
    const subscription = options.subscription_id;
    if (subscription === undefined) throw new BeltError('config', 'no Azure subscription', { next: 'set AZURE_SUBSCRIPTION_ID' });
    const [{ ComputeManagementClient }, { NetworkManagementClient }, { ResourceManagementClient }, identity] = await Promise.all([import('@azure/arm-compute'), import('@azure/arm-network'), import('@azure/arm-resources'), import('@azure/identity')]);
    const trust = options.ca_file === undefined ? {} : { tlsOptions: { ca: readFileSync(options.ca_file, 'utf8') } };
    const login = { ...trust, ...(options.authority_host === undefined ? {} : { authorityHost: options.authority_host, disableInstanceDiscovery: true }), retryOptions: { maxRetries: 1 } };
    const { tenant_id: tenant, client_id: client, client_secret: secret } = options;
    const credential = tenant !== undefined && client !== undefined && secret !== undefined ? new identity.ClientSecretCredential(tenant, client, secret, login) : new identity.AzureCliCredential();
    const common = { ...trust, ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }), retryOptions: { maxRetries: 0 } };
    const clients = {
      compute: new ComputeManagementClient(credential, subscription, common),
      network: new NetworkManagementClient(credential, subscription, common),
      resources: new ResourceManagementClient(credential, subscription, common),
    };
    for (const { pipeline } of Object.values(clients)) {
      pipeline.addPolicy({
        name: 'requestTimeout',
        sendRequest: givenAtMost(ports.requestTimeoutMs ?? REQUEST_TIMEOUT_MS),
      });
    }
    return new AzureApi(clients, new RateLimiter(limitsOf(options.limit_scale), ports.pace ?? realPace), ports);
  }

  /** A call by name, repeated as the policy says. Throws `BeltError`. */
  async call<T>(lane: Lane, act: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { pace, random, retry } = this.#ports;
    return withRetry(
      async () => {
        await this.#limiter.acquire(lane, 1, signal);
        await this.#limiter.acquire(DOOR[lane], 1, signal);
        try {
          return await act();
        } catch (thrown) {
          const error = failureOf(thrown, signal);
          if (error.code === 'driver_throttled') this.#limiter.throttled(lane, error.retryAfterMs ?? 5_000);
          throw error;
        }
      },
      signal,
      { pace: pace ?? realPace, policy: retry ?? CLOUD_RETRY, ...(random === undefined ? {} : { random }) },
    );
  }

  /** All items of a list in pages; each page is a call of its own to the limits, and a page that fails is asked for again. */
  async all<T>(lane: Lane, list: () => { byPage(settings?: { continuationToken?: string }): AsyncIterableIterator<T[]> }, signal: AbortSignal): Promise<T[]> {
    const found: T[] = [];
    let continuationToken: string | undefined;
    for (let page = 0; page < 1_000; page += 1) {
      const items = await this.call(lane, async () => (await list().byPage(continuationToken === undefined ? {} : { continuationToken }).next()).value as (T[] & { continuationToken?: string }) | undefined, signal);
      if (items === undefined) return found;
      found.push(...items);
      continuationToken = items.continuationToken;
      if (continuationToken === undefined || continuationToken === '') return found;
    }
    throw new BeltError('driver', 'Azure lists more than 1,000 pages');
  }
}

type Policy = Parameters<ResourceManagementClient['pipeline']['addPolicy']>[0];

/** The SDK's own `timeout` ends with the answer's headers, and after a connection that broke it keeps the process from ending until it is over. */
function givenAtMost(ms: number): Policy['sendRequest'] {
  return async (request, next) => {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ms);
    const { abortSignal } = request;
    request.abortSignal = abortSignal === undefined ? late.signal : AbortSignal.any([abortSignal as AbortSignal, late.signal]);
    try {
      return await next(request);
    } finally {
      clearTimeout(timer);
    }
  };
}
