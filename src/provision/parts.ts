/**
 * What a cluster has on a cloud besides machines: networks, firewalls, keys, addresses. Drivers make them with the first machines, find them by
 * name or tag, and remove them with the last one; what a died run left half-built is found here. An optional part beside the driver.
 */
import { type BeltError, isBeltError, type Outcome } from '../errors.ts';
import type { ClusterTag } from './driver.ts';

export interface CloudPart {
  /** The cloud's own word: `firewall`, `VPC`, `security group`, `key pair`. */
  readonly kind: string;
  readonly name: string;
  /** The cloud's own id, by which {@link Parts} finds it again; null where it is missing. */
  readonly id: string | null;
  /** Null where it is of no region. */
  readonly region: string | null;
  /** `unused`: no machine needs it; `incomplete` and `missing`: machines need what is not there. */
  readonly state: 'unused' | 'incomplete' | 'missing';
  /** What is the matter, in a few words. */
  readonly why: string;
}

/** What was found, and the regions that did not answer (null: all of them). */
export interface PartsFound {
  readonly parts: readonly CloudPart[];
  readonly down: readonly { readonly region: string | null; readonly error: BeltError }[];
}

export interface Parts {
  /** The cluster's parts that are not as they must be. Throws nothing but `interrupted`. */
  find(cluster: ClusterTag, signal: AbortSignal): Promise<PartsFound>;
  /** Makes complete what is incomplete or missing, and removes what is unused; outcomes in the order of the parts, named as the part is. */
  mend(cluster: ClusterTag, parts: readonly CloudPart[], signal: AbortSignal): Promise<Outcome[]>;
}

/** Mends one part after another, a failure being its own; for {@link Parts.mend}. */
export async function mendEach(parts: readonly CloudPart[], mend: (part: CloudPart) => Promise<void>): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const part of parts) {
    const name = `${part.kind} ${part.name}`;
    try {
      await mend(part);
      outcomes.push({ name, ok: true, value: undefined });
    } catch (error) {
      if (!isBeltError(error) || error.code === 'interrupted') throw error;
      outcomes.push({ name, ok: false, error });
    }
  }
  return outcomes;
}

/** {@link Parts} of a cloud that answers whole or not at all. `open` is asked once; `look` gives it with less patience for one that is down. */
export function partsOf<Api extends { look(): Api }>(
  open: () => Promise<Api>,
  find: (api: Api, cluster: ClusterTag, signal: AbortSignal) => Promise<CloudPart[]>,
  mend: (api: Api, cluster: ClusterTag, part: CloudPart, signal: AbortSignal) => Promise<void>,
): Parts {
  let opened: Promise<Api> | undefined;
  const api = (): Promise<Api> => (opened ??= open());
  return {
    async find(cluster, signal): Promise<PartsFound> {
      try {
        return { parts: await find((await api()).look(), cluster, signal), down: [] };
      } catch (error) {
        if (!isBeltError(error) || error.code === 'interrupted') throw error;
        return { parts: [], down: [{ region: null, error }] };
      }
    },
    async mend(cluster, parts, signal): Promise<Outcome[]> {
      const opened = await api();
      return mendEach(parts, (part) => mend(opened, cluster, part, signal));
    },
  };
}
