/**
 * Replacing the CA without a stop: a pure decision of what comes next.
 *
 *     steady → distributing: every node learns the new root beside the old one; the old one still signs.
 *     distributing → reissuing: when all reachable nodes trust both, the new root signs, and nodes renew in batches.
 *     reissuing → steady: when every node holds a certificate of the new root. A node that is switched off holds this up until its
 *     certificate has run out; the old root then protects nothing any more and goes. Until then it is trusted, so that the node can come
 *     back, renew and follow.
 */

/** Nodes asked to renew at once, so that five thousand do not come together. */
export const REISSUE_BATCH = 30;

export type RotationPhase = 'steady' | 'distributing' | 'reissuing';

export interface RotationNode {
  readonly id: string;
  readonly reachable: boolean;
  /** Whether the node has confirmed that it trusts both roots. */
  readonly trustsBoth: boolean;
  /** Whether the new root signed the certificate it holds. */
  readonly reissued: boolean;
  /** When the certificate it holds runs out, ms since 1970. */
  readonly notAfter: number;
}

export type RotationStep =
  | { readonly do: 'nothing' }
  /** Wait; `for` are the nodes that hold it up. */
  | { readonly do: 'wait'; readonly for: readonly string[] }
  | { readonly do: 'sign-with-new' }
  /** Ask these nodes to renew now. */
  | { readonly do: 'renew'; readonly nodes: readonly string[] }
  | { readonly do: 'drop-old' };

/** What the leader does next. A node counts as lost for the rotation when its certificate has run out: it needs `belt certs renew` anyway. */
export function nextRotationStep(phase: RotationPhase, nodes: readonly RotationNode[], nowMs: number): RotationStep {
  if (phase === 'steady') return { do: 'nothing' };
  if (phase === 'distributing') {
    const missing = nodes.filter((n) => n.reachable && !n.trustsBoth).map((n) => n.id);
    return missing.length > 0 ? { do: 'wait', for: missing } : { do: 'sign-with-new' };
  }
  const old = nodes.filter((n) => !n.reissued && n.notAfter > nowMs);
  if (old.length === 0) return { do: 'drop-old' };
  const reachable = old.filter((n) => n.reachable);
  return reachable.length > 0 ? { do: 'renew', nodes: reachable.slice(0, REISSUE_BATCH).map((n) => n.id) } : { do: 'wait', for: old.map((n) => n.id) };
}
