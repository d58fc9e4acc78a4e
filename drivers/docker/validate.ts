/** Whether machines can be made of containers here, said before anything is made. */
import { stat } from 'node:fs/promises';

import Docker from 'dockerode';

import type { Problem } from '../../src/provision/driver.ts';
import { parseSubnet } from './addresses.ts';
import { sentence } from './engine-errors.ts';
import { type DockerOptions, socketPath } from './options.ts';

const INSTALL = 'install Docker Engine (Debian, Ubuntu: sudo apt-get install docker.io; else https://docs.docker.com/engine/install/), or use -d local, which needs nothing';
const START = 'start it: sudo systemctl start docker (in a clone of belt, without a service manager: .ci/engine start)';
const GROUP = 'sudo usermod -aG docker "$USER", then log in again';

/** A socket that takes this long belongs to an engine that hangs, milliseconds. */
const ANSWER_MS = 10_000;

/** The smallest pool a cluster's network is cut from, as prefix length. */
const SMALLEST_POOL = 20;

async function socketProblem(path: string, docker: Docker): Promise<Problem | null> {
  try {
    const info = (await docker.info()) as { OSType?: string };
    return info.OSType === 'linux' ? null : { key: 'docker.host', message: `the engine runs ${info.OSType ?? 'unknown'} containers, not Linux ones`, next: 'switch it to Linux containers' };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EACCES') return { key: 'docker.host', message: `you may not use Docker's socket ${path}`, next: GROUP };
    const there = await stat(path).then(() => true, () => false);
    if (!there) return { key: 'docker.host', message: `Docker is not here: there is no socket ${path}`, next: INSTALL };
    return { key: 'docker.host', message: `Docker does not answer on ${path}: ${sentence(error)}`, next: START };
  }
}

/** Every problem at once. */
export async function validateHost(
  options: DockerOptions, env: Readonly<Record<string, string | undefined>>, signal: AbortSignal, platform: string = process.platform,
): Promise<Problem[]> {
  signal.throwIfAborted();
  const problems: Problem[] = [];
  if (platform !== 'linux') problems.push({ key: null, message: `machines of the docker driver are reachable on Linux only, this is ${platform}`, next: 'run belt on the Linux machine that runs Docker' });
  if (parseSubnet(options.subnet).bits > SMALLEST_POOL) {
    problems.push({ key: 'docker.subnet', message: `${options.subnet} is too small: a cluster takes a /${SMALLEST_POOL}`, next: 'for example 198.18.0.0/15' });
  }
  const path = socketPath(options, env);
  if (path === null) {
    problems.push({ key: 'DOCKER_HOST', message: `'${env['DOCKER_HOST'] ?? ''}' is not a local socket; the machines' addresses exist only on Docker's own host`, next: 'unset DOCKER_HOST, or set docker.host to unix:///…' });
  } else {
    const problem = await socketProblem(path, new Docker({ socketPath: path, timeout: ANSWER_MS }));
    if (problem !== null) problems.push(problem);
  }
  return problems;
}
