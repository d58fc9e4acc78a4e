import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';

/** The host name is the machine's name: Docker shows it in its node list. Not where the machine shares its host's (`local`). */
export const hostname: Step = {
  id: 'hostname',
  check: (facts, wanted) => (facts.hostname === null || facts.hostname === wanted.machine ? null : `call the host ${wanted.machine}`),
  act: (_facts, wanted) => ({ script: renderShell('bootstrap/hostname.sh', { name: wanted.machine }), payload: [] }),
};
