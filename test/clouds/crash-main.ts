/** `npm run clouds:crash -- [CLOUD…] [--machines N] [--kills N] [--seed N] [--scale N]`: 5,000 machines by `belt create`, killed ten times, on each cloud's fake. */
import { parseArgs } from 'node:util';

import { CLOUDS, crash, faultsOf } from './crash.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { machines: { type: 'string', default: '5000' }, kills: { type: 'string', default: '10' }, seed: { type: 'string' }, scale: { type: 'string' } } });
const machines = Number(values.machines);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
/** The limits' scale, so that a run is a minute or two and limits still bite. */
const SCALE: Readonly<Record<string, number>> = { digitalocean: 10, ec2: 100, azure: 20 };

for (const cloud of positionals.length > 0 ? positionals : Object.keys(CLOUDS)) {
  const scale = Number(values.scale ?? SCALE[cloud] ?? 1);
  console.log(`${cloud}: ${machines} machines, ${values.kills} kills, limits ${scale} times the real ones, seed ${seed}`);
  const began = performance.now();
  const result = await crash(cloud, { machines, kills: Number(values.kills), seed, scale, log: console.log });
  for (const line of result.stderr.split('\n').filter((text) => /^(creating|waiting)/.test(text))) console.log(`    ${line}`);
  const faults = faultsOf(result, machines);
  const calls = [...result.calls].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([name, count]) => `${name} ${count}`).join(', ');
  console.log(`${cloud}: ${result.there} machines after ${result.killed} kills in ${((performance.now() - began) / 1000).toFixed(0)} s, ${result.throttled} calls throttled; ${calls}`);
  console.log(faults.length === 0 ? `${cloud}: exactly ${machines}, none doubled, the state knows all` : `${cloud}: WRONG\n  ${faults.join('\n  ')}`);
  if (faults.length > 0) process.exitCode = 1;
}
