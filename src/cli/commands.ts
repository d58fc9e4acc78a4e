/** Every command that works, in the order of the help, each loaded when it is run. A verb that does not work yet is not here. */
import type { Command } from './command.ts';

export interface CommandEntry {
  /** As it is typed: one word, or two (`cluster new`). */
  readonly path: string;
  readonly synopsis: string;
  readonly summary: string;
  /** What is cut off before the flags are read: all (`docker`), all after the first word (`ssh`), all after `--` (`exec`). */
  readonly rest?: 'all' | 'after-name' | 'after-dashes';
  load(): Promise<{ readonly command: Command }>;
}

export interface CommandGroup {
  readonly title: string;
  readonly entries: readonly CommandEntry[];
}

export const COMMAND_GROUPS: readonly CommandGroup[] = [
  {
    title: 'Machines',
    entries: [
    ],
  },
  {
    title: 'Clusters',
    entries: [
      { path: 'cluster new', synopsis: 'NAME', summary: 'make a cluster and use it', load: () => import('./commands/cluster-new.ts') },
      { path: 'cluster ls', synopsis: '', summary: 'list clusters', load: () => import('./commands/cluster-ls.ts') },
      { path: 'cluster use', synopsis: 'NAME', summary: 'choose the current cluster', load: () => import('./commands/cluster-use.ts') },
      { path: 'cluster update', synopsis: 'KEY=VALUE…', summary: "change the cluster's configuration", load: () => import('./commands/cluster-update.ts') },
      { path: 'cluster config', synopsis: '', summary: 'show the configuration in force', load: () => import('./commands/cluster-config.ts') },
      { path: 'use', synopsis: 'NAME', summary: 'short for cluster use', load: () => import('./commands/cluster-use.ts') },
    ],
  },
  {
    title: 'Other',
    entries: [
    ],
  },
];

export const ALL_COMMANDS: readonly CommandEntry[] = COMMAND_GROUPS.flatMap((group) => group.entries);
