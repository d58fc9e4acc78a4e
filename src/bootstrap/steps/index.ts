/** Everything a bootstrap does to a machine, in order. Read this first; each step is a file beside this one. */
import type { Step } from '../step.ts';
import { agent } from './agent.ts';
import { certificate } from './certificate.ts';
import { configuration } from './configuration.ts';
import { engine } from './engine.ts';
import { hostname } from './hostname.ts';
import { kernel } from './kernel.ts';
import { runtime } from './runtime.ts';
import { service } from './service.ts';
import { start } from './start.ts';

export const STEPS: readonly Step[] = [
  runtime, // Node.js, where the machine has not ours
  hostname, // the machine's name is its host name
  kernel, // limits that large overlay networks need
  engine, // Docker Engine, where containers shall run
  agent, // the agent's one file
  configuration, // what the agent is told about itself
  service, // how it starts at boot
  certificate, // key born there, request back, certificate in
  start, // the agent runs what is now there
];
