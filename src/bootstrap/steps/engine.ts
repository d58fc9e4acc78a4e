import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';

/** Docker Engine, by the machine's own package manager or a script the operator names. One that is there already is left alone. */
export const engine: Step = {
  id: 'engine',
  check: (facts, wanted) => (wanted.engine.kind === 'none' || facts.service !== 'systemd' || facts.engine !== null ? null : 'install Docker Engine'),
  act: (_facts, { engine: { version, installUrl } }) => ({ script: renderShell('bootstrap/engine.sh', { version, install_url: installUrl }), payload: [] }),
};
