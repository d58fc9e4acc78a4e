import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';

const PATH = '/etc/sysctl.d/60-belt.conf';

/** Kernel settings for large overlay networks. Not where the kernel is the operator's own (`local`). */
export const kernel: Step = {
  id: 'kernel',
  check: (facts, wanted) => (facts.service !== 'systemd' || facts.files.get(PATH) === wanted.sysctl.sha256 ? null : 'raise kernel limits'),
  act: (_facts, wanted) => ({ script: renderShell('bootstrap/kernel.sh', { length: wanted.sysctl.bytes.length }), payload: [wanted.sysctl.bytes] }),
};
