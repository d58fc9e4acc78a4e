/** The authorization table as docs/auth.md shows it, made from the table of calls. */
import { CALLERS, CALLS, type Caller, type CallName } from '../../src/swarm-agent/api/calls.ts';

export function renderAuthTable(): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const lines = [row(['plane', 'call', ...CALLERS, 'what it does']), row(['---', '---', ...CALLERS.map(() => ':-:'), '---'])];
  for (const name of Object.keys(CALLS) as CallName[]) {
    const { plane, roles, does, write } = CALLS[name];
    const cells = CALLERS.map((caller) => ((roles as readonly Caller[]).includes(caller) ? 'yes' : '·'));
    lines.push(row([plane, `\`${name}\`${write ? ' (write)' : ''}`, ...cells, does]));
  }
  return lines.join('\n');
}
