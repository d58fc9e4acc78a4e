/** A node without a container engine: a full member of the agents' cluster that runs no containers. */
import { BeltError } from '../../errors.ts';
import type { Engine } from './engine.ts';

/** `machine` is named in the errors. */
export function noEngine(machine: string): Engine {
  const refuse = (): Promise<never> => Promise.reject(new BeltError('no_engine', `no engine is installed on ${machine}`, { machine }));
  return {
    kind: 'none', socketPath: null, dataRoot: '', info: () => Promise.resolve(null), leave: () => Promise.resolve(),
    init: refuse, join: refuse, tokens: refuse, nodes: refuse, updateNode: refuse, removeNode: refuse,
  };
}
