/**
 * DigitalOcean's failures in belt's words. do-wrapper passes on what its HTTP client throws; that object holds the token, so nothing of
 * it travels further than this file but the status, two headers and the API's own message.
 */
import { BeltError } from '../../src/errors.ts';

interface HttpFailure {
  response?: { statusCode?: number; headers?: Record<string, string | undefined>; body?: unknown };
  code?: string;
  name?: string;
  message?: string;
}

/** `nothing`: the call had no effect; `unknown`: it may have had one and must be looked up before it is made again. */
export interface Failure {
  readonly error: BeltError;
  readonly effect: 'nothing' | 'unknown';
}

/** What a failed call means. `nowMs` is the time the `ratelimit-reset` header is measured against. */
export function failureOf(thrown: unknown, nowMs: number): Failure {
  const failure = thrown as HttpFailure;
  const status = failure.response?.statusCode;
  if (status === undefined) return noAnswer(failure);
  const { id, message } = bodyOf(failure.response?.body);
  const text = `DigitalOcean: ${message ?? `status ${status}`}`;
  if (status === 429) return { effect: 'nothing', error: new BeltError('driver_throttled', text, { retryAfterMs: waitOf(failure.response?.headers ?? {}, nowMs) }) };
  if (status === 401 || status === 403) {
    return { effect: 'nothing', error: new BeltError('driver_auth', text, { next: 'check DIGITALOCEAN_ACCESS_TOKEN: it needs read and write scope' }) };
  }
  if (status >= 500) return { effect: 'unknown', error: new BeltError('driver_unavailable', text) };
  return { effect: 'nothing', error: refusal(id, message ?? '', text) };
}

function refusal(id: string | undefined, message: string, text: string): BeltError {
  if (/droplet limit/i.test(message)) return new BeltError('driver_quota', text, { next: 'ask DigitalOcean for a higher droplet limit, or remove machines (belt rm)' });
  if (/not available in this region|sold out|capacity/i.test(message)) return new BeltError('driver_capacity', text, { next: 'try another region or size (belt sizes)' });
  if (/pending event/i.test(message)) return new BeltError('driver_unavailable', text, { retryAfterMs: 2_000 });
  return new BeltError('driver', id === 'not_found' ? `${text} (not found)` : text);
}

function noAnswer(failure: HttpFailure): Failure {
  const unreached = failure.code === 'ECONNREFUSED' || failure.code === 'ENOTFOUND' || failure.code === 'EAI_AGAIN';
  const why = failure.name === 'SyntaxError' ? 'the reply was not JSON' : (failure.code ?? failure.name ?? 'no answer');
  return { effect: unreached ? 'nothing' : 'unknown', error: new BeltError('driver_unavailable', `DigitalOcean does not answer: ${why}`) };
}

/** Only a burst's 429 carries `retry-after`; the hourly one says when the window opens. */
function waitOf(headers: Record<string, string | undefined>, nowMs: number): number {
  const after = Number(headers['retry-after']);
  if (Number.isFinite(after) && after > 0) return after * 1000;
  const reset = Number(headers['ratelimit-reset']) * 1000 - nowMs;
  return Number.isFinite(reset) && reset > 0 ? Math.min(reset, 3_600_000) : 5_000;
}

function bodyOf(body: unknown): { id?: string; message?: string } {
  if (typeof body !== 'string') return {};
  try {
    const { id, message } = JSON.parse(body) as { id?: unknown; message?: unknown };
    return { ...(typeof id === 'string' ? { id } : {}), ...(typeof message === 'string' ? { message: message.slice(0, 500) } : {}) };
  } catch {
    return {};
  }
}
