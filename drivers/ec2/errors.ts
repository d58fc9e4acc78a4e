/** EC2's failures in belt's words, by the code EC2 gives (its error list), never by the text. */
import { BeltError, type ErrorCode } from '../../src/errors.ts';

/** `nothing`: the call had no effect; `unknown`: it may have had one and must be looked up before it is made again. */
export interface Failure {
  readonly error: BeltError;
  readonly effect: 'nothing' | 'unknown';
  /** EC2's own code, empty where there was no answer. */
  readonly ec2Code: string;
}

const CODES: Record<string, readonly [ErrorCode, string | null]> = {
  RequestLimitExceeded: ['driver_throttled', null],
  Throttling: ['driver_throttled', null],
  ThrottlingException: ['driver_throttled', null],
  InternalError: ['driver_unavailable', null],
  Unavailable: ['driver_unavailable', null],
  ServiceUnavailable: ['driver_unavailable', null],
  ConcurrentTagAccess: ['driver_unavailable', null],
  'InvalidInstanceID.NotFound': ['driver_unavailable', null],
  IncorrectInstanceState: ['driver_unavailable', null],
  InsufficientInstanceCapacity: ['driver_capacity', 'try another zone or size (belt sizes), or let belt: fallback_zones, fallback_types'],
  InsufficientFreeAddressesInSubnet: ['driver_capacity', 'spread over more zones: subnets hold about 4,000 machines each'],
  Unsupported: ['driver_capacity', 'this zone does not have the size: try another zone or size (belt sizes)'],
  UnfulfillableCapacity: ['driver_capacity', 'try another zone or size (belt sizes)'],
  SpotMaxPriceTooLow: ['driver_capacity', 'the spot price is above the limit: try without --spot'],
  InstanceLimitExceeded: ['driver_quota', 'ask AWS for a higher quota (Service Quotas, L-1216C47A), or remove machines'],
  VcpuLimitExceeded: ['driver_quota', 'ask AWS for a higher vCPU quota (Service Quotas, L-1216C47A), or remove machines'],
  MaxSpotInstanceCountExceeded: ['driver_quota', 'ask AWS for a higher spot quota, or create without --spot'],
  AuthFailure: ['driver_auth', 'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and the clock of this machine'],
  UnauthorizedOperation: ['driver_auth', 'the account may not do that: see its IAM policy'],
  InvalidClientTokenId: ['driver_auth', 'check AWS_ACCESS_KEY_ID'],
  SignatureDoesNotMatch: ['driver_auth', 'check AWS_SECRET_ACCESS_KEY'],
  RequestExpired: ['driver_auth', 'the clock of this machine is wrong: set it and try again'],
  OptInRequired: ['driver_auth', 'the account has not opted in to this region or image'],
  ExpiredToken: ['driver_auth', 'the session token has expired: get a new one'],
};

/** What a failed call means. */
export function failureOf(thrown: unknown): Failure {
  const failure = thrown as { name?: string; message?: string; code?: string; $metadata?: { httpStatusCode?: number }; $response?: unknown };
  if (failure.name === 'AbortError') return { effect: 'unknown', ec2Code: '', error: new BeltError('interrupted', 'interrupted while EC2 was asked') };
  if (failure.name === 'CredentialsProviderError') {
    return { effect: 'nothing', ec2Code: '', error: new BeltError('driver_auth', 'no AWS credentials were found', { next: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE' }) };
  }
  const status = failure.$metadata?.httpStatusCode;
  const code = failure.name ?? '';
  const known = CODES[code];
  if (known !== undefined) return { effect: 'nothing', ec2Code: code, error: new BeltError(known[0], `EC2: ${code}: ${failure.message ?? ''}`.slice(0, 500), known[1] === null ? {} : { next: known[1] }) };
  if (status !== undefined && status >= 400 && status < 500) return { effect: 'nothing', ec2Code: code, error: new BeltError('driver', `EC2: ${code}: ${failure.message ?? ''}`.slice(0, 500)) };
  const unreached = failure.code === 'ECONNREFUSED' || failure.code === 'ENOTFOUND' || failure.code === 'EAI_AGAIN';
  return { effect: unreached ? 'nothing' : 'unknown', ec2Code: '', error: new BeltError('driver_unavailable', `EC2 does not answer: ${failure.code ?? code}${status === undefined ? '' : ` (status ${status})`}`) };
}
