/** `npm run faults -- [--seconds 180] [--writers 24] [--no-tls]`: the real-fault test for as long as you like; exits 1 when a promise was broken. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makePki } from '../../bench/raft/pki.ts';
import { runFaults } from './raft-faults.ts';

/** Five of its own for each run on a machine: two at once took each other's. Below the ports that the system gives out. */
const FIRST_PORT = 24_300 + 5 * (process.pid % 1_000);

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '180' }, writers: { type: 'string', default: '24' }, tls: { type: 'boolean', default: true } }, allowNegative: true });
const folder = mkdtempSync(join(tmpdir(), 'belt-faults-'));
const pki = join(folder, 'pki');
if (values.tls) makePki(pki, ['m1', 'm2', 'm3', 'm4', 'm5', 'client']);
const began = performance.now();
const result = await runFaults({
  folder, pki: values.tls ? pki : null, firstPort: FIRST_PORT, seconds: Number(values.seconds), writers: Number(values.writers), random: Math.random,
  onEvent: (line) => process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`),
});
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
if (result.broken.length === 0) rmSync(folder, { recursive: true, force: true });
else process.stderr.write(`the members' folders are kept in ${folder}\n`);
process.exitCode = result.broken.length === 0 ? 0 : 1;
