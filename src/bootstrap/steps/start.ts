import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';
import { judgeCertificate } from './certificate.ts';
import { agent } from './agent.ts';
import { configuration } from './configuration.ts';
import { runtime } from './runtime.ts';
import { service } from './service.ts';

/** What makes a running agent older than its files. */
const CAUSES: readonly Step[] = [runtime, agent, configuration, service];

/** The agent runs, and what runs is what is there. An enrolment has started it already. */
export const start: Step = {
  id: 'start',
  check: (facts, wanted) => {
    if (judgeCertificate(facts, wanted).do === 'enrol') return null;
    if (!facts.running) return 'start the agent';
    return facts.outdated.length > 0 || CAUSES.some((step) => step.check(facts, wanted) !== null) ? 'restart the agent' : null;
  },
  act: () => ({ script: renderShell('bootstrap/start.sh'), payload: [] }),
};
