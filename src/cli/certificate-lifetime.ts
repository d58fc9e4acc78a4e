/** How long certificates of nodes live: what the configuration says, or what a drill says in a variable that nobody sets by accident. */
import { BeltError } from '../errors.ts';
import { lifetimeMs } from '../inventory/settings.ts';

/** Whole seconds, 10 to 3600: shorter than any configuration may say. */
export const TEST_CERTIFICATE_SECONDS = 'BELT_TEST_CERTIFICATE_SECONDS';

/** In ms; undefined where nothing is said. Throws `config` for a variable that is wrong; `configured` was checked with the configuration. */
export function certificateLifetime(configured: unknown, env: Readonly<Record<string, string | undefined>>): number | undefined {
  const drill = env[TEST_CERTIFICATE_SECONDS];
  if (drill === undefined || drill === '') return configured === undefined ? undefined : lifetimeMs(String(configured));
  const seconds = /^\d{2,4}$/.test(drill) ? Number(drill) : Number.NaN;
  if (seconds >= 10 && seconds <= 3600) return seconds * 1000;
  throw new BeltError('config', `$${TEST_CERTIFICATE_SECONDS}: must be 10 to 3600 seconds, not "${drill}"`, { next: 'it is for drills only: unset it' });
}
