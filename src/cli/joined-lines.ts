/** How nodes that joined are shown: a line each, as Docker says it. */
import type { Outcome } from '../errors.ts';
import type { Joined } from '../swarm/join.ts';
import { compressNames } from '../range/compress.ts';
import { outcomeError } from '../ui/error-text.ts';
import type { Context } from './context.ts';

/** Prints the outcomes; throws the error that the failures among them make. */
export function reportJoined(ctx: Context, outcomes: readonly Outcome<Joined>[], did: string): void {
  for (const outcome of outcomes) if (outcome.ok) for (const warning of outcome.value.warnings) ctx.ui.warn(warning);
  const document = outcomes.map((outcome) => ({
    name: outcome.name, ok: outcome.ok, role: outcome.ok ? outcome.value.role : null, already: outcome.ok ? outcome.value.already : null, error: outcome.ok ? null : outcome.error.toJSON(),
  }));
  ctx.ui.report(document, (ui) => {
    for (const outcome of outcomes) if (outcome.ok) ui.line(`${outcome.name}: ${outcome.value.says}`);
  });
  const error = outcomeError(outcomes, did);
  if (error !== null) throw error;
}

/** Says which managers do no work from now on. */
export function tellDrained(ctx: Context, names: readonly string[]): void {
  if (names.length > 0) ctx.ui.note(`managers run no containers now: ${compressNames(names)} (belt swarm availability active RANGE undoes it)`);
}
