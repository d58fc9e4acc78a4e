import { defineConfig } from 'vitest/config';

const results = process.env['BELT_TEST_RESULTS'];

/**
 * `npm run e2e`: real systemd, sshd and Docker Engines in machines of the docker driver. One file after another: the machines share this box.
 * `npm run e2e:large` takes the long drills (`*.large.ts`) instead.
 */
export default defineConfig({
  test: {
    include: [process.env['BELT_E2E'] === 'large' ? 'test/e2e/**/*.large.ts' : 'test/e2e/**/*.e2e.ts'],
    globalSetup: ['test/e2e/setup.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 500_000,
    hookTimeout: 500_000,
    teardownTimeout: 60_000,
    retry: 0,
    bail: 0,
    reporters: results === undefined ? ['verbose'] : ['verbose', ['json', { outputFile: results }]],
  },
});
