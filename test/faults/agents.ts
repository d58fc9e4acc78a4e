/** `npm run faults:agents -- [--seconds 300] [--writers 24]`: five real agents killed and frozen at random; exits 1 when a promise was broken. */
import { parseArgs } from 'node:util';

import { runAgentFaults } from './agent-faults.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '300' }, writers: { type: 'string', default: '24' } } });
const began = performance.now();
const result = await runAgentFaults({
  seconds: Number(values.seconds), writers: Number(values.writers), random: Math.random,
  onEvent: (line) => process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`),
});
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
process.exitCode = result.broken.length === 0 ? 0 : 1;
