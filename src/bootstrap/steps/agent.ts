import { readFile } from 'node:fs/promises';

import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';

const PATH = '/opt/belt/belt-agent.mjs';

/** The agent's one file, compared by its checksum. */
export const agent: Step = {
  id: 'agent',
  check: (facts, wanted) => {
    const has = facts.files.get(PATH);
    if (has === wanted.agent.sha256) return null;
    return has === undefined ? 'install the agent' : `replace the agent by version ${wanted.agent.version}`;
  },
  act: async (_facts, wanted) => {
    const { path, sha256 } = wanted.agent;
    if (wanted.delivery === 'link') return { script: renderShell('bootstrap/agent-link.sh', { target: path }), payload: [] };
    const bytes = await bundleBytes(path);
    return { script: renderShell('bootstrap/agent-upload.sh', { length: bytes.length, sha256 }), payload: [bytes] };
  },
};

/** Read once for all machines of a run. */
const bundles = new Map<string, Promise<Buffer>>();
function bundleBytes(path: string): Promise<Buffer> {
  const known = bundles.get(path) ?? readFile(path);
  bundles.set(path, known);
  return known;
}
