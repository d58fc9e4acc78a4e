/**
 * When to try a machine's SSH again. A young machine refuses connections, then refuses keys (sshd is up before cloud-init has put
 * the key there), then lets us in: both refusals are retried until its boot budget ends. A changed host key never is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BeltError, isBeltError } from '../errors.ts';
import { connectSsh, type SshConnectOptions, type SshConnection } from './client.ts';

export type NextAttempt = { readonly retry: true; readonly delayMs: number } | { readonly retry: false; readonly error: BeltError };

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 5_000;

/**
 * Decides after a failed attempt. `attempt` counts from 1, `elapsedMs` since the first one began; `chance` is in [0, 1) and spreads
 * many machines over time (half of the delay is fixed, half is drawn). The last attempt happens when the budget ends, not before.
 */
export function nextAttempt(state: { error: BeltError; attempt: number; elapsedMs: number; budgetMs: number; machine: string }, chance: number): NextAttempt {
  const { error, attempt, elapsedMs, budgetMs, machine } = state;
  if (!error.retryable || error.code === 'interrupted') return { retry: false, error };
  if (elapsedMs >= budgetMs) return { retry: false, error: gaveUp(error, elapsedMs, machine) };
  const ceiling = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt - 1, 20));
  const delayMs = Math.round(ceiling / 2 + (ceiling / 2) * chance);
  return { retry: true, delayMs: Math.min(delayMs, Math.max(0, budgetMs - elapsedMs)) };
}

export interface WaitForSshOptions extends SshConnectOptions {
  /** How long the machine may take to let us in, milliseconds, counted from the call. 0: one attempt. */
  readonly budgetMs: number;
  /** Called before each wait, so that a progress line can say why. */
  readonly onRetry?: ((error: BeltError, delayMs: number) => void) | undefined;
  readonly now?: (() => number) | undefined;
  readonly random?: (() => number) | undefined;
}

/** Connects as soon as the machine lets us in. Errors as of {@link connectSsh}; the last one, with how long was waited. */
export async function waitForSsh(options: WaitForSshOptions): Promise<SshConnection> {
  const now = options.now ?? performance.now.bind(performance);
  const random = options.random ?? Math.random;
  const began = now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await connectSsh(options);
    } catch (error) {
      if (!isBeltError(error)) throw error;
      const machine = options.machine ?? options.host;
      const next = nextAttempt({ error, attempt, elapsedMs: now() - began, budgetMs: options.budgetMs, machine }, random());
      if (!next.retry) throw next.error;
      options.onRetry?.(error, next.delayMs);
      await sleep(next.delayMs, undefined, { signal: options.signal }).catch(() => {
        throw new BeltError('interrupted', `interrupted while waiting for ${machine}`, { machine });
      });
    }
  }
}

function gaveUp(error: BeltError, elapsedMs: number, machine: string): BeltError {
  if (elapsedMs < 1_000) return error;
  return new BeltError(error.code, `${error.message} (waited ${Math.round(elapsedMs / 1_000)} s)`, { machine, next: error.next, cause: error });
}
