/** Preloaded into a process: writes down the URL of every module it loads, as it loads it. */
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

const file = process.env['BELT_TEST_MODULES'] ?? '';
registerHooks({
  load(url, context, nextLoad) {
    appendFileSync(file, `${url}\n`);
    return nextLoad(url, context);
  },
});
