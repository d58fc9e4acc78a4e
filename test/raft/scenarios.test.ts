import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runScenario } from './scenario.ts';

const folder = new URL('scenarios/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));

/** `UPDATE=1` writes what really happens into the files; read the difference before you commit it. */
test.each(files)('%s', (name) => {
  const url = new URL(name, folder);
  const text = readFileSync(url, 'utf8');
  const real = runScenario(text);
  if (process.env['UPDATE'] === '1') writeFileSync(url, real);
  else expect(real).toBe(text);
  expect(real.split('\n').length).toBeLessThanOrEqual(80);
});
