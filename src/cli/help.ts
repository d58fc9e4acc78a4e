/** The help of belt itself and of a group of commands: plain text from the table of commands, so that it loads nothing else. */
import type { CommandEntry, CommandGroup } from './commands.ts';

const FLAGS = [
  '  --cluster NAME   the cluster to work on instead of the current one',
  '  -d, --driver     the driver to use instead of the configured one',
  '  --host RANGE     the machines a docker line goes to instead of the active one',
  '  --json           one JSON document on stdout',
  '  -y, --yes        answer yes to the question',
  '  --debug          causes and stack traces of errors',
  '  --help           of belt, or of a command',
  '  --version',
];

function entryLines(entries: readonly CommandEntry[]): string[] {
  const shown = entries.map((entry) => `${entry.path} ${entry.synopsis}`.trim());
  const width = Math.max(...shown.map((text) => text.length));
  return entries.map((entry, at) => `  ${(shown[at] ?? '').padEnd(width)}   ${entry.summary}`);
}

/** What `belt --help` prints. */
export function mainHelp(groups: readonly CommandGroup[]): string {
  return [
    'belt turns one line into a Docker Swarm: machines in bulk, an agent and a CA on them, a quorum over datacenters.',
    '',
    ...groups.flatMap((group) => [`${group.title}:`, ...entryLines(group.entries), '']),
    'Everywhere:',
    ...FLAGS,
    '',
    "A RANGE names machines: mg0, 'node[1:10]', 'node[01:10]', 'mg0,node[1,3,7:9]'. Quote it: shells read brackets as file patterns.",
  ].join('\n');
}

/** What `belt cluster` prints. */
export function groupHelp(group: string, entries: readonly CommandEntry[]): string {
  return [`belt ${group} COMMAND`, '', ...entryLines(entries.filter((entry) => entry.path.startsWith(`${group} `)))].join('\n');
}
