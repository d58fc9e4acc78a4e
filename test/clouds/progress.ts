/**
 * `belt create` of many machines as a user runs it, its progress line held against the cloud's own books: it never counts what is not there, and never
 * misses more than what the calls under way can hold.
 */
import { readFileSync } from 'node:fs';

import { CLOUDS, type Cloud } from './crash.ts';

/** One line of progress, with what the cloud had when it came. */
export interface ProgressLine {
  readonly text: string;
  readonly done: number;
  readonly total: number;
  readonly there: number;
  /** Since the command was started, seconds by the wall's clock. */
  readonly at: number;
}

export interface WatchedCreate {
  readonly exit: number | null;
  readonly stderr: string;
  readonly lines: readonly ProgressLine[];
  /** Machines on the cloud when all is over. */
  readonly there: number;
  readonly took: number;
  /** What belt itself says the limits allow at least, seconds; null where it is too short to be said. */
  readonly least: number | null;
  readonly throttled: number;
  readonly calls: ReadonlyMap<string, number>;
  readonly peakMb: number;
  readonly violations: readonly string[];
}

/** `creating on ec2: 1200/5000, 35 s, at least …`, or the same while it waits. */
const LINE = /^(creating on \w+|waiting until active): (\d+)\/(\d+), /;

/** Runs `belt create` of so many machines on the fake `cloud`, whose limits are `scale` times the real ones. */
export async function watchCreate(cloud: string, machines: number, scale: number): Promise<WatchedCreate> {
  const stage = await (CLOUDS[cloud] as (scale: number) => Promise<Cloud>)(scale);
  const lines: ProgressLine[] = [];
  let peakMb = 0;
  try {
    const began = performance.now();
    const running = stage.line.start('create', stage.size, `node[1:${machines}]`, '--timeout', '30m');
    let rest = '';
    running.child.stderr?.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      peakMb = Math.max(peakMb, peakOf(running.child.pid));
      for (const text of parts) {
        const [, title, done, total] = LINE.exec(text) ?? [];
        if (title !== undefined) lines.push({ text, done: Number(done), total: Number(total), there: title.startsWith('waiting') ? stage.count() : stage.made(), at: (performance.now() - began) / 1000 });
      }
    });
    const { exit, stderr } = await running.ended;
    const took = (performance.now() - began) / 1000;
    return { exit, stderr, lines, there: stage.count(), took, least: leastOf(stderr), throttled: stage.throttled(), calls: stage.fake.calls, peakMb, violations: stage.violations };
  } finally {
    await stage.fake.close();
    stage.line.remove();
  }
}

/** The largest memory a process has had so far, MB; 0 when it is gone. */
function peakOf(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

function leastOf(stderr: string): number | null {
  const [, minutes, seconds] = /at least (?:(\d+) min )?(\d+) s at the cloud's limits/.exec(stderr) ?? [];
  return seconds === undefined ? null : Number(minutes ?? 0) * 60 + Number(seconds);
}

/**
 * Machines that belt may not know of yet: those of the calls under way and of as many that came while the line was read; on Azure those
 * that were named since the last look.
 */
const UNDER_WAY: Readonly<Record<string, number>> = { digitalocean: 2 * 8 * 10, ec2: 8 * 100, azure: 500 + 2 * 16 };

/** What the progress line said that is not so, as sentences. */
export function liesOf(cloud: string, run: WatchedCreate, machines: number): string[] {
  const mayMiss = UNDER_WAY[cloud] ?? 0;
  const creating = run.lines.filter((line) => line.text.startsWith('creating'));
  return [
    ...(run.exit === 0 ? [] : [`belt ended with ${run.exit}: ${run.stderr.slice(-500)}`]),
    ...(run.there === machines ? [] : [`on the cloud are ${run.there}`]),
    ...(creating.length > 1 ? [] : ['there was no progress to see']),
    ...run.lines.filter((line) => line.total !== machines).map((line) => `another total: ${line.text}`),
    ...run.lines.filter((line) => line.done > line.there).map((line) => `ahead, ${line.there} are there: ${line.text}`),
    ...creating.filter((line) => line.there - line.done > mayMiss).map((line) => `behind, ${line.there} are there: ${line.text}`),
    ...creating.filter((line, at) => at > 0 && line.done < (creating[at - 1]?.done ?? 0)).map((line) => `went back: ${line.text}`),
    ...(creating.at(-1)?.done === machines ? [] : [`ended with: ${creating.at(-1)?.text}`]),
    ...(run.least === null || run.least <= run.took ? [] : [`it was said to take ${run.least} s at least and took ${run.took.toFixed(1)} s`]),
    ...(run.violations.length === 0 ? [] : [`calls against the contract: ${run.violations[0]}`]),
  ];
}
