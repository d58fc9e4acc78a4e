/**
 * The long run: `npm run sim -- --seeds 20000 [--from 1]`, one seed with its trace: `npm run sim -- --seed 17`, the planted bugs:
 * `npm run sim -- --planted [--seeds 20000]`. `--real-log` runs the agent's own log on a simulated disk instead of a model of it.
 */
import { parseArgs } from 'node:util';
import { simulate } from './cluster.ts';
import { PLANTED_BUGS } from './planted.ts';

const PROGRESS_MS = 5_000;
/** Far beyond what any planted bug has needed so far. */
const PLANTED_SEEDS = 20_000;

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, from: { type: 'string' }, seed: { type: 'string' }, planted: { type: 'boolean' }, 'real-log': { type: 'boolean' }, bug: { type: 'string' } },
});

const realLog = values['real-log'] === true;

function wholeNumber(text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Error(`not a whole number: ${text}`);
  return value;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Replays one seed with everything that happened. */
function replay(seed: number): boolean {
  const mistakes = PLANTED_BUGS.find((bug) => bug.name === values.bug)?.mistakes ?? {};
  const result = simulate({ seed, mistakes, realLog, trace: say });
  say(JSON.stringify(result));
  return result.violation === null;
}

function longRun(from: number, seeds: number): boolean {
  const began = Date.now();
  let shown = began;
  const failed: number[] = [];
  const total = { events: 0, acknowledged: 0, reads: 0, elections: 0 };
  for (let seed = from; seed < from + seeds; seed += 1) {
    const result = simulate({ seed, realLog });
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += result[key];
    if (result.violation !== null) {
      failed.push(seed);
      say(`seed ${seed}: ${result.violation}`);
    }
    if (Date.now() - shown < PROGRESS_MS) continue;
    shown = Date.now();
    say(`${seed - from + 1} of ${seeds} seeds, ${failed.length} failed, ${Math.round((shown - began) / 1000)} s`);
  }
  const seconds = (Date.now() - began) / 1000;
  say(`${seeds} seeds in ${seconds.toFixed(1)} s: ${failed.length} failed; ${total.events} events, ${total.elections} elections, ${total.acknowledged} appends acknowledged, ${total.reads} reads answered`);
  if (failed.length > 0) say(`replay with: npm run sim -- ${realLog ? '--real-log ' : ''}--seed ${failed[0]}   (add the seeds to test/sim/seeds.txt: ${failed.join(' ')})`);
  return failed.length === 0;
}

/** Which seed is the first to show each planted bug. */
function planted(seeds: number): boolean {
  let missed = 0;
  say('| mistake | rule it breaks | caught by | first seed |\n| --- | --- | --- | --- |');
  for (const { name, rule, mistakes } of PLANTED_BUGS) {
    let caught: string | null = null;
    let seed = 0;
    while (caught === null && seed < seeds) caught = simulate({ seed: ++seed, mistakes }).violation;
    if (caught === null) missed += 1;
    say(`| ${name} | ${rule} | ${caught === null ? '**nothing**' : property(caught)} | ${caught === null ? `none of ${seeds}` : seed} |`);
  }
  return missed === 0;
}

/** The property that was broken, without the particulars. */
function property(violation: string): string {
  return violation.startsWith('the core stops itself') ? 'an assertion of the core' : violation.slice(0, violation.indexOf(':'));
}

function run(): boolean {
  if (values.seed !== undefined) return replay(wholeNumber(values.seed, 1));
  if (values.planted) return planted(wholeNumber(values.seeds, PLANTED_SEEDS));
  return longRun(wholeNumber(values.from, 1), wholeNumber(values.seeds, 1_000));
}

process.exitCode = run() ? 0 : 1;
