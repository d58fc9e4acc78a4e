/**
 * How belt's ownership is written in DigitalOcean's tags, which are plain words of letters, digits, `_`, `-` and `:`:
 * `belt`, `belt-c:<cluster id>`, `belt-n:<cluster name>`, `belt-req:<order id>`, and `belt-t:<key>:<value>` in base64url for anything else.
 */
import type { ClusterTag } from '../../src/provision/driver.ts';

export const EVERY = 'belt';
export const clusterTag = (clusterId: string): string => `belt-c:${clusterId}`;
export const orderTag = (orderId: string): string => `belt-req:${orderId}`;
export const isOrderTag = (tag: string): boolean => tag.startsWith('belt-req:');

const word = (text: string): string => Buffer.from(text, 'utf8').toString('base64url');
const plain = (text: string): string => Buffer.from(text, 'base64url').toString('utf8');

/** The tags of a machine of the order. */
export function writeTags(cluster: ClusterTag, orderId: string, tags: Readonly<Record<string, string>>): string[] {
  const own = Object.entries(tags).map(([key, value]) => `belt-t:${word(key)}:${word(value)}`);
  return [EVERY, clusterTag(cluster.clusterId), `belt-n:${word(cluster.cluster)}`, orderTag(orderId), ...own];
}

/** What the tags of a droplet say; tags that are not belt's are left out. */
export function readTags(tags: readonly string[]): Record<string, string> {
  const read: Record<string, string> = {};
  for (const tag of tags) {
    const [kind, first = '', second = ''] = tag.split(':');
    if (kind === 'belt-c') read['belt.cluster-id'] = first;
    else if (kind === 'belt-n') read['belt.cluster'] = plain(first);
    else if (kind === 'belt-req') read['belt.order'] = first;
    else if (kind === 'belt-t') read[plain(first)] = plain(second);
  }
  return read;
}
