/** `npm run clouds:progress -- [CLOUD…] [--machines N] [--scale N]`: 5,000 machines by `belt create` on each cloud's fake, its progress line held against the cloud's books. */
import { parseArgs } from 'node:util';

import { callsOf } from './at-limits.ts';
import { CLOUDS } from './crash.ts';
import { liesOf, watchCreate } from './progress.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { machines: { type: 'string', default: '5000' }, scale: { type: 'string' } } });
const machines = Number(values.machines);
/** The limits' scale with which 5,000 machines take a minute at least. */
const SCALE: Readonly<Record<string, number>> = { digitalocean: 2, ec2: 20, azure: 5 };

for (const cloud of positionals.length > 0 ? positionals : Object.keys(CLOUDS)) {
  const scale = Number(values.scale ?? SCALE[cloud] ?? 1);
  const run = await watchCreate(cloud, machines, scale);
  for (const line of run.lines) console.log(`    ${line.at.toFixed(1).padStart(5)} s  ${String(line.there).padStart(5)} there   ${line.text}`);
  const lies = liesOf(cloud, run, machines);
  // Ten seconds are for the work itself, which limits know nothing of.
  if (run.least !== null && run.took > run.least * 1.2 + 10) lies.push(`took ${run.took.toFixed(1)} s where the limits allow ${run.least} s`);
  console.log(`${cloud}: ${run.there} machines at ${scale} times the limits in ${run.took.toFixed(1)} s, said to take ${run.least} s at least; ${callsOf(run.calls)} calls, ${run.throttled} throttled; belt had ${run.peakMb.toFixed(0)} MB at most`);
  console.log(lies.length === 0 ? `${cloud}: the progress line told the truth` : `${cloud}: WRONG\n  ${lies.join('\n  ')}`);
  if (lies.length > 0) process.exitCode = 1;
}
