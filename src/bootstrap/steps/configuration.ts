import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';

const PATH = '/etc/belt/agent.json';

/** What the agent is told: its cluster, name, addresses and datacenter. */
export const configuration: Step = {
  id: 'configuration',
  check: (facts, wanted) => {
    const has = facts.files.get(PATH);
    if (has === wanted.config.sha256) return null;
    return has === undefined ? 'configure the agent' : 'change the agent’s configuration';
  },
  act: (_facts, wanted) => ({ script: renderShell('bootstrap/configuration.sh', { length: wanted.config.bytes.length }), payload: [wanted.config.bytes] }),
};
