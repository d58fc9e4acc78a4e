/** Power actions on a machine that is a container. What is already as asked is left alone. */
import { setTimeout as sleep } from 'node:timers/promises';

import type Docker from 'dockerode';

import { BeltError } from '../../src/errors.ts';
import type { PowerAction } from '../../src/provision/driver.ts';

/** How long systemd and the engine inside get to stop in order, seconds; then the power is cut. */
const STOP_SECONDS = 30;

type State = Docker.ContainerInspectInfo['State'];

/** A machine hears the signal to stop only when its systemd is up: sent earlier it is lost, and the stop would take all of STOP_SECONDS. */
const DEAF_MS = 3_000;

async function awake(container: Docker.Container, state: State): Promise<void> {
  if (state.Paused) await container.unpause();
}

async function listening(state: State): Promise<void> {
  const age = Date.now() - Date.parse(state.StartedAt);
  if (age >= 0 && age < DEAF_MS) await sleep(DEAF_MS - age);
}

const ACTIONS: Record<PowerAction, (container: Docker.Container, state: State) => Promise<string | undefined>> = {
  async start(container, state) {
    if (state.Running && !state.Paused) return 'already active';
    if (state.Paused) await container.unpause();
    else await container.start();
    return undefined;
  },
  async stop(container, state) {
    if (!state.Running) return 'already off';
    await awake(container, state);
    await listening(state);
    await container.stop({ t: STOP_SECONDS });
    return undefined;
  },
  async kill(container, state) {
    if (!state.Running) return 'already off';
    await awake(container, state);
    await container.kill({ signal: 'SIGKILL' });
    return undefined;
  },
  async reboot(container, state) {
    await awake(container, state);
    if (state.Running) {
      await listening(state);
      await container.restart({ t: STOP_SECONDS });
    } else {
      await container.start();
    }
    return undefined;
  },
  async pause(container, state) {
    if (state.Paused) return 'already paused';
    if (!state.Running) throw new BeltError('driver', 'it is off and cannot be paused', { next: 'belt start NAME first' });
    await container.pause();
    return undefined;
  },
  async unpause(container, state) {
    if (!state.Paused) return 'not paused';
    await container.unpause();
    return undefined;
  },
};

/** Does `action`; returns a note where nothing was to do. */
export function act(container: Docker.Container, state: State, action: PowerAction): Promise<string | undefined> {
  return ACTIONS[action](container, state);
}
