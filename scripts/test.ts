/** `npm test`: all unit and property tests, arguments passed through (`npm test -- test/range`). With BELT_TEST_RESULTS a JSON report goes there. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const results = process.env['BELT_TEST_RESULTS'];
const reporters = results === undefined || results === '' ? [] : ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
const { status, signal } = spawnSync(process.execPath, [vitest, 'run', ...reporters, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? (signal === 'SIGINT' ? 130 : 1);
