/** Azure's failures in belt's words, by HTTP status first: a throttled call and an exhausted quota can carry the same code. */
import { BeltError, type ErrorCode } from '../../src/errors.ts';

const CODES: Record<string, readonly [ErrorCode, string]> = {
  SkuNotAvailable: ['driver_capacity', 'try another size or location (belt sizes)'],
  AllocationFailed: ['driver_capacity', 'try another size or location (belt sizes)'],
  ZonalAllocationFailed: ['driver_capacity', 'try another zone or size (belt sizes)'],
  OverconstrainedAllocationRequest: ['driver_capacity', 'try another size or location (belt sizes)'],
  OverconstrainedZonalAllocationRequest: ['driver_capacity', 'try another zone or size (belt sizes)'],
  QuotaExceeded: ['driver_quota', 'ask Azure for a higher quota (Usage + quotas), or remove machines'],
  OperationNotAllowed: ['driver_quota', 'ask Azure for a higher quota (Usage + quotas), or remove machines'],
  PublicIPCountLimitReached: ['driver_quota', 'ask Azure for more public addresses, or set public_addresses: false'],
  AuthorizationFailed: ['driver_auth', 'the service principal needs the Contributor role on the subscription'],
  AuthenticationFailed: ['driver_auth', 'check AZURE_CLIENT_ID and AZURE_CLIENT_SECRET'],
  InvalidAuthenticationToken: ['driver_auth', 'check AZURE_CLIENT_ID and AZURE_CLIENT_SECRET'],
  SubscriptionNotFound: ['driver_auth', 'check AZURE_SUBSCRIPTION_ID'],
  ResourceGroupBeingDeleted: ['driver_unavailable', 'the resource group is being deleted; wait until it is gone'],
  Conflict: ['driver_unavailable', ''],
  AnotherOperationInProgress: ['driver_unavailable', ''],
  RetryableErrorDueToAnotherOperation: ['driver_unavailable', ''],
};

/** What a failed call means. PUT, PATCH and DELETE by name may be repeated whatever became of the first, so there is no unknown effect. */
export function failureOf(thrown: unknown, signal?: AbortSignal): BeltError {
  if (thrown instanceof BeltError) return thrown;
  const failure = thrown as { name?: string; code?: unknown; message?: string; statusCode?: number; response?: { headers?: { get?(name: string): string | undefined } } };
  // A request that takes too long ends as one that was stopped does.
  if (failure.name === 'AbortError') return signal?.aborted === false ? new BeltError('driver_unavailable', 'Azure does not answer: no reply in time') : new BeltError('interrupted', 'interrupted while Azure was asked');
  if (failure.name === 'AuthenticationRequiredError' || failure.name === 'CredentialUnavailableError' || /AADSTS\d+/.test(failure.message ?? '')) {
    return new BeltError('driver_auth', `Azure: ${firstLine(failure.message)}`, { next: 'check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run az login' });
  }
  const status = failure.statusCode;
  // A long-running operation that fails is a plain Error whose text holds the code.
  const code = typeof failure.code === 'string' && status !== undefined ? failure.code : (/has failed\. ([A-Za-z]+)\. /.exec(failure.message ?? '')?.[1] ?? '');
  const text = `Azure: ${code === '' ? '' : `${code}: `}${firstLine(failure.message)}`;
  if (status === 429) return new BeltError('driver_throttled', text, { retryAfterMs: retryAfterOf(failure) });
  if (status === 401) return new BeltError('driver_auth', text, { next: 'check AZURE_CLIENT_ID and AZURE_CLIENT_SECRET' });
  const known = CODES[code];
  if (known !== undefined) return new BeltError(known[0], text, known[1] === '' ? {} : { next: known[1] });
  if (status !== undefined && status < 500) return new BeltError('driver', text);
  return new BeltError('driver_unavailable', status === undefined && code === '' ? `Azure does not answer: ${String(failure.code ?? firstLine(failure.message))}` : text, { retryAfterMs: retryAfterOf(failure) });
}

function retryAfterOf(failure: { response?: { headers?: { get?(name: string): string | undefined } } }): number | undefined {
  const seconds = Number(failure.response?.headers?.get?.('retry-after'));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

const firstLine = (text: string | undefined): string => (text ?? 'no message').split('\n')[0]?.slice(0, 400) ?? '';
