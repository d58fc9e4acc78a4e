import { defineConfig } from 'vitest/config';

/** `npm test` runs every `*.test.ts` below `test/`; what needs root or Docker Engine lives in `test/e2e` and has a command of its own. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    retry: 0,
  },
});
