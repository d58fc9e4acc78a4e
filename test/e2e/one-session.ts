import { beforeEach } from 'vitest';

/**
 * The tests of a suite are one session, each standing on those before it: after a failure the others are skipped, since they would only wait in vain
 * for what did not come about. The failure itself fails the run.
 */
export function asOneSession(): void {
  let failed = false;
  beforeEach(({ skip, onTestFailed }) => {
    if (failed) skip('an earlier part of the session failed');
    onTestFailed(() => { failed = true; });
  });
}
