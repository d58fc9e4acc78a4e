import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';

/** What starts the agent at boot: a unit of systemd, or `etc/belt/start` where the driver's host starts what is there. */
export const service: Step = {
  id: 'service',
  check: (facts, wanted) => {
    const [path, file] = facts.service === 'systemd' ? (['/etc/systemd/system/belt-agent.service', wanted.unit] as const) : (['/etc/belt/start', wanted.start] as const);
    return facts.files.get(path) === file.sha256 ? null : 'start the agent at boot';
  },
  act: (facts, wanted) => {
    const [template, file] = facts.service === 'systemd' ? (['bootstrap/service-systemd.sh', wanted.unit] as const) : (['bootstrap/service-start.sh', wanted.start] as const);
    return { script: renderShell(template, { length: file.bytes.length }), payload: [file.bytes] };
  },
};
