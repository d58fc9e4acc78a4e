import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';
import { assert } from '../../errors.ts';

/** The Node.js runtime. A link is made here; a real runtime has a conversation of its own (deliver-runtime.ts), since it comes from a seed. */
export const runtime: Step = {
  id: 'runtime',
  check: (facts, wanted) => {
    const has = facts.runtime;
    if ('link' in wanted.runtime) return has !== null && 'link' in has && has.link === wanted.runtime.link ? null : 'link Node.js';
    if (has !== null && 'sha256' in has && has.sha256 === wanted.runtime.sha256) return null;
    return has === null ? 'install Node.js' : 'replace Node.js';
  },
  act: (_facts, wanted) => {
    assert('link' in wanted.runtime, 'a runtime that is sent is delivered before');
    return { script: renderShell('bootstrap/runtime-link.sh', { target: wanted.runtime.link }), payload: [] };
  },
};
