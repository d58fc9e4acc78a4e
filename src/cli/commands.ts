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
      { path: 'create', synopsis: 'SIZE RANGE…', summary: 'make machines', load: () => import('./commands/create.ts') },
      { path: 'ls', synopsis: '[RANGE…]', summary: 'list machines', load: () => import('./commands/ls.ts') },
      { path: 'status', synopsis: '[RANGE…]', summary: 'count machines by status, or wait for a status', load: () => import('./commands/status.ts') },
      { path: 'ip', synopsis: 'RANGE…', summary: 'print addresses', load: () => import('./commands/ip.ts') },
      { path: 'active', synopsis: '[NAME]', summary: 'show or choose the machine docker talks to', load: () => import('./commands/active.ts') },
      { path: 'start', synopsis: 'RANGE…', summary: 'switch machines on', load: () => import('./commands/start.ts') },
      { path: 'stop', synopsis: 'RANGE…', summary: 'shut machines down', load: () => import('./commands/stop.ts') },
      { path: 'kill', synopsis: 'RANGE…', summary: 'cut the power of machines', load: () => import('./commands/kill.ts') },
      { path: 'pause', synopsis: 'RANGE…', summary: 'freeze machines, or let them go on', load: () => import('./commands/pause.ts') },
      { path: 'resize', synopsis: 'RANGE… SIZE', summary: 'give machines another size', load: () => import('./commands/resize.ts') },
      { path: 'snapshot', synopsis: 'RANGE…', summary: 'take snapshots, from which create --image makes machines', load: () => import('./commands/snapshot.ts') },
      { path: 'snapshot ls', synopsis: '', summary: 'list snapshots', load: () => import('./commands/snapshot-ls.ts') },
      { path: 'snapshot rm', synopsis: 'RANGE@LABEL…', summary: 'remove snapshots', load: () => import('./commands/snapshot-rm.ts') },
      { path: 'rm', synopsis: 'RANGE…', summary: 'destroy machines', load: () => import('./commands/rm.ts') },
      { path: 'ssh', synopsis: 'NAME [COMMAND…]', summary: 'a shell or a command on one machine', rest: 'after-name', load: () => import('./commands/ssh.ts') },
      { path: 'exec', synopsis: 'RANGE… -- COMMAND', summary: 'a command on many machines, output by machine', rest: 'after-dashes', load: () => import('./commands/exec.ts') },
      { path: 'cp', synopsis: 'SOURCE TARGET', summary: 'copy a file to machines or from one (NAME:PATH)', load: () => import('./commands/cp.ts') },
      { path: 'sizes', synopsis: '[SIZE]', summary: 'what sizes mean on the driver, with prices', load: () => import('./commands/sizes.ts') },
      { path: 'doctor', synopsis: '[NAME…]', summary: 'find machines nobody knows, records nothing matches, half-built parts', load: () => import('./commands/doctor.ts') },
    ],
  },
  {
    title: 'Swarm',
    entries: [
      { path: 'bootstrap', synopsis: 'RANGE…', summary: 'put agent and certificates on machines', load: () => import('./commands/bootstrap.ts') },
      { path: 'swarm init', synopsis: 'NAME', summary: 'make a swarm with one manager', load: () => import('./commands/swarm-init.ts') },
      { path: 'swarm form', synopsis: 'TOPOLOGY RANGE…', summary: 'make a swarm with the managers of a topology such as 5/3', load: () => import('./commands/swarm-form.ts') },
      { path: 'swarm join', synopsis: 'MANAGER RANGE…', summary: 'machines join the swarm', load: () => import('./commands/swarm-join.ts') },
      { path: 'swarm leave', synopsis: 'RANGE…', summary: 'nodes become plain machines again', load: () => import('./commands/swarm-leave.ts') },
      { path: 'swarm nodes', synopsis: '', summary: 'list the nodes', load: () => import('./commands/swarm-nodes.ts') },
      { path: 'swarm status', synopsis: '', summary: 'leader, quorum, what may be lost', load: () => import('./commands/swarm-status.ts') },
      { path: 'swarm promote', synopsis: 'RANGE…', summary: 'workers become managers', load: () => import('./commands/swarm-promote.ts') },
      { path: 'swarm demote', synopsis: 'RANGE…', summary: 'managers become workers', load: () => import('./commands/swarm-demote.ts') },
      { path: 'swarm label', synopsis: 'NODE LABEL…', summary: 'set (key=value) and remove (key-) labels', load: () => import('./commands/swarm-label.ts') },
      { path: 'swarm availability', synopsis: 'active|pause|drain RANGE…', summary: 'whether nodes are given work', load: () => import('./commands/swarm-availability.ts') },
      { path: 'swarm token', synopsis: 'worker|manager', summary: 'show or rotate the join token', load: () => import('./commands/swarm-token.ts') },
      { path: 'swarm backup', synopsis: '[FILE]', summary: 'write down what the cluster knows, without secrets', load: () => import('./commands/swarm-backup.ts') },
      { path: 'swarm restore', synopsis: 'FILE RANGE…', summary: 'go on from a backup when no manager is left', load: () => import('./commands/swarm-restore.ts') },
      { path: 'swarm rebuild', synopsis: '', summary: 'go on from the best surviving manager', load: () => import('./commands/swarm-rebuild.ts') },
    ],
  },
  {
    title: 'Docker',
    entries: [
      { path: 'docker', synopsis: '…', summary: "docker on the active machine, or on those of belt's own --host before it", rest: 'all', load: () => import('./commands/docker.ts') },
      { path: 'env', synopsis: '[NAME]', summary: 'variables that point the plain docker client at a machine', load: () => import('./commands/env.ts') },
    ],
  },
  {
    title: 'Certificates',
    entries: [
      { path: 'certs ls', synopsis: '', summary: 'list certificates and when they run out', load: () => import('./commands/certs-ls.ts') },
      { path: 'certs renew', synopsis: 'RANGE…', summary: 'give agents new certificates over SSH', load: () => import('./commands/certs-renew.ts') },
      { path: 'certs rotate', synopsis: '', summary: 'replace the CA without a stop', load: () => import('./commands/certs-rotate.ts') },
      { path: 'certs operator', synopsis: '[NAME]', summary: "make an operator's certificate, renew one's own, or revoke one", load: () => import('./commands/certs-operator.ts') },
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
      { path: 'cluster rm', synopsis: 'NAME', summary: 'remove a cluster and its machines', load: () => import('./commands/cluster-rm.ts') },
      { path: 'use', synopsis: 'NAME', summary: 'short for cluster use', load: () => import('./commands/cluster-use.ts') },
    ],
  },
  {
    title: 'Other',
    entries: [
      { path: 'topology', synopsis: 'SPEC', summary: 'explain a topology such as 5/3 before anything is built', load: () => import('./commands/topology.ts') },
      { path: 'completion', synopsis: 'SHELL', summary: 'print the completion script for bash, zsh or fish', load: () => import('./commands/completion.ts') },
    ],
  },
];

export const ALL_COMMANDS: readonly CommandEntry[] = COMMAND_GROUPS.flatMap((group) => group.entries);
