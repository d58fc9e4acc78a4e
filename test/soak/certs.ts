/** `npm run soak:certs -- [--seconds 600] [--lifetime 60] [--workers 4] [--operators 6]`: the certificate drill; exits 1 when a call failed. */
import { parseArgs } from 'node:util';

import { runCertsSoak } from './certs-soak.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, lifetime: { type: 'string', default: '60' }, workers: { type: 'string', default: '4' }, operators: { type: 'string', default: '6' } },
});
const began = performance.now();
const result = await runCertsSoak({
  seconds: Number(values.seconds), lifetimeSeconds: Number(values.lifetime), workers: Number(values.workers), operators: Number(values.operators),
  onEvent: (line) => process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`),
});
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
process.exitCode = result.failed.length === 0 ? 0 : 1;
