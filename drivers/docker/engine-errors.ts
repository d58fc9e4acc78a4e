/** What the engine of the host says, as the errors of a driver. */
import { BeltError, type ErrorCode, isBeltError } from '../../src/errors.ts';

interface EngineFailure {
  readonly statusCode?: number;
  readonly code?: string;
  readonly message?: string;
  readonly json?: { readonly message?: string };
}

/** The engine's own sentence, without the client's wrapping ("(HTTP code 409) conflict - …"). */
export function sentence(error: unknown): string {
  const failure = error as EngineFailure;
  const text = failure.json?.message ?? failure.message ?? String(error);
  return text.replace(/^\(HTTP code \d+\) [^-]*- /, '').trim();
}

/** Whether the engine answered with this HTTP status. */
export function hasStatus(error: unknown, status: number): boolean {
  return (error as EngineFailure).statusCode === status;
}

function codeOf(failure: EngineFailure): ErrorCode {
  if (failure.code === 'ABORT_ERR') return 'interrupted';
  if (failure.code === 'EACCES') return 'driver_auth';
  if (failure.code !== undefined) return 'driver_unavailable';
  return /no space left|cannot allocate memory|no available/i.test(sentence(failure)) ? 'driver_capacity' : 'driver';
}

/** Anything the engine's client threw, as a `BeltError` of a `driver_*` code. */
export function asDriverError(error: unknown, what: string, machine?: string): BeltError {
  if (isBeltError(error)) return error;
  const code = codeOf(error as EngineFailure);
  return new BeltError(code, `${what}: ${sentence(error)}`, { cause: error, machine, next: NEXT[code] });
}

const NEXT: Partial<Record<ErrorCode, string>> = {
  driver_auth: 'sudo usermod -aG docker "$USER", then log in again',
  driver_unavailable: 'start Docker Engine (systemctl start docker) or point DOCKER_HOST at its socket',
  driver_capacity: 'docker system df shows what takes the space',
};
