/** What a cluster's droplets stand in: a VPC in each region and one firewall, found by name or made once. */
import { createHash } from 'node:crypto';
import { BeltError, isBeltError } from '../../src/errors.ts';
import { type DigitalOceanApi, type Firewall, type InboundRule, isNotFound } from './api.ts';
import type { DigitalOceanOptions } from './options.ts';
import { clusterTag } from './tags.ts';

/** A VPC's default /20 holds about 4,090 droplets; ours are /16, so that 5,000 fit. */
const VPC_BITS = 16;

export const vpcName = (clusterId: string, region: string): string => `belt-${clusterId.slice(0, 12)}-${region}`;
/** Keys that belt brought to the account for the cluster. */
export const keyPrefix = (clusterId: string): string => `belt-${clusterId.slice(0, 12)}-`;
export const firewallName = (clusterId: string): string => `belt-${clusterId.slice(0, 12)}`;

/** The id of the cluster's VPC in each region. Two runs that race make one: the loser finds the name taken and reads again. */
export async function ensureVpcs(api: DigitalOceanApi, clusterId: string, regions: readonly string[], signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const region of regions) {
    const name = vpcName(clusterId, region);
    let vpcs = await api.vpcs(signal);
    let id = vpcs.find((vpc) => vpc.name === name)?.id;
    if (id === undefined) {
      try {
        id = await api.createVpc(name, region, freeRange(name, vpcs.map((vpc) => vpc.ip_range)), signal);
      } catch (error) {
        vpcs = await api.vpcs(signal);
        id = vpcs.find((vpc) => vpc.name === name)?.id;
        if (id === undefined) throw error;
      }
    }
    found.set(region, id);
  }
  return found;
}

/** The first free 10.x.0.0/16 from a place that the name chooses, so that clusters of several accounts seldom collide when they are joined later. */
export function freeRange(name: string, taken: readonly string[]): string {
  const used = new Set(taken.map((range) => range.split('.').slice(0, 2).join('.')));
  const start = (createHash('sha256').update(name).digest()[0] as number) % 236;
  for (let step = 0; step < 236; step += 1) {
    // 10.10/16 to 10.19/16 are DigitalOcean's own default networks.
    const second = ((start + step) % 236) + 20;
    if (!used.has(`10.${second}`)) return `10.${second}.0.0/${VPC_BITS}`;
  }
  throw new BeltError('driver_quota', 'no private network of 10.0.0.0/8 is free in the account', { next: 'remove VPCs that are no longer used' });
}

/** Makes the cluster's firewall where it is missing, and completes one that is not as the configuration says. It is attached by tag, since a firewall takes ten droplets by id at most. */
export async function ensureFirewall(api: DigitalOceanApi, clusterId: string, options: DigitalOceanOptions, signal: AbortSignal): Promise<void> {
  if (!options.firewall) return;
  const find = async (): Promise<Firewall | undefined> => (await api.firewalls(signal)).find((firewall) => firewall.name === firewallName(clusterId));
  const there = await find();
  if (there !== undefined) return completeFirewall(api, clusterId, there, options, signal);
  const tag = clusterTag(clusterId);
  await api.createTag(tag, signal);
  try {
    await api.createFirewall({ name: firewallName(clusterId), tags: [tag], inbound_rules: inboundRules(tag, options.allow_from ?? []), outbound_rules: outboundRules() }, signal);
  } catch (error) {
    if (!isBeltError(error) || (await find()) === undefined) throw error;
  }
}

/** What the firewall lacks: `allow_from` names new addresses, or somebody took a rule or the tag away. */
export function lacking(firewall: Firewall, clusterId: string, options: DigitalOceanOptions): { rules: InboundRule[]; tag: boolean } {
  const tag = clusterTag(clusterId);
  const have = new Set((firewall.inbound_rules ?? []).flatMap(sourcesOf).map(([text]) => text));
  const rules = inboundRules(tag, options.allow_from ?? []).flatMap(sourcesOf).filter(([text]) => !have.has(text)).map(([, rule]) => rule);
  return { rules, tag: !(firewall.tags ?? []).includes(tag) };
}

async function completeFirewall(api: DigitalOceanApi, clusterId: string, firewall: Firewall, options: DigitalOceanOptions, signal: AbortSignal): Promise<void> {
  const { rules, tag } = lacking(firewall, clusterId, options);
  if (rules.length > 0) await api.addFirewallRules(firewall.id, rules, signal);
  if (!tag) return;
  await api.createTag(clusterTag(clusterId), signal);
  await api.addFirewallTag(firewall.id, clusterTag(clusterId), signal);
}

/** A rule for each of its sources, with a text that is the same for the same rule. */
function sourcesOf({ protocol, ports, sources }: { protocol: string; ports: string; sources: { addresses?: readonly string[] | null; tags?: readonly string[] | null } }): [string, InboundRule][] {
  const port = ports === 'all' ? '0' : ports;
  const text = (source: string): string => `${protocol} ${port} ${source.replace(/\/32$/, '')}`;
  return [
    ...(sources.addresses ?? []).map((address): [string, InboundRule] => [text(address), { protocol, ports: port, sources: { addresses: [address] } }]),
    ...(sources.tags ?? []).map((tag): [string, InboundRule] => [text(tag), { protocol, ports: port, sources: { tags: [tag] } }]),
  ];
}

/** Ports of the design's section 8: operators reach 22, 2376 and 2378, members everything of the swarm, the world nothing it was not given. */
export function inboundRules(tag: string, allowFrom: readonly string[]): InboundRule[] {
  const members = { tags: [tag] };
  const anywhere = allowFrom.includes('anywhere');
  const operators = { addresses: anywhere ? ['0.0.0.0/0', '::/0'] : allowFrom };
  const named = { addresses: allowFrom.filter((from) => from !== 'anywhere') };
  const rule = (protocol: string, ports: string, sources: InboundRule['sources']): InboundRule => ({ protocol, ports, sources });
  return [
    rule('tcp', '22', operators),
    ...(named.addresses.length > 0 ? [rule('tcp', '2376', named)] : []),
    rule('tcp', '2378', operators),
    rule('tcp', '2378', members),
    rule('tcp', '2377', members),
    rule('tcp', '7946', members),
    rule('udp', '7946', members),
    rule('udp', '4789', members),
    rule('icmp', '0', members),
  ];
}

function outboundRules(): object[] {
  const destinations = { addresses: ['0.0.0.0/0', '::/0'] };
  return [{ protocol: 'tcp', ports: '0', destinations }, { protocol: 'udp', ports: '0', destinations }, { protocol: 'icmp', ports: '0', destinations }];
}

/**
 * Ids of the keys in the account, added where they are missing. The account has each key once, whatever its name, so it is looked up by fingerprint.
 * The list is read once: that call has a small limit of its own.
 */
export async function ensureKeys(api: DigitalOceanApi, clusterId: string, publicKeys: readonly string[], options: DigitalOceanOptions, signal: AbortSignal): Promise<number[]> {
  const known = await api.keys(signal);
  const ids = known.filter((key) => key.fingerprint === options.ssh_key_fingerprint).map((key) => key.id);
  if (options.ssh_key_fingerprint !== undefined && ids.length === 0) {
    throw new BeltError('config', `no SSH key of the account has the fingerprint ${options.ssh_key_fingerprint}`, { next: 'compare ssh_key_fingerprint with the keys on the account page' });
  }
  for (const publicKey of publicKeys) {
    const fingerprint = fingerprintOf(publicKey);
    const end = blobOf(publicKey).slice(-12).replace(/[^A-Za-z0-9]/g, '');
    const name = keyPrefix(clusterId) + end;
    const there = known.find((key) => key.fingerprint === fingerprint);
    // Named by a belt that did not say whose it is yet, so that no removal would find it.
    if (there?.name === `belt-${end}`) await api.renameKey(there.id, name, signal);
    ids.push(there?.id ?? (await addKey(api, name, publicKey, fingerprint, signal)));
  }
  return [...new Set(ids)];
}

/** A call that is repeated after a lost answer is refused: the key is there already. */
async function addKey(api: DigitalOceanApi, name: string, publicKey: string, fingerprint: string, signal: AbortSignal): Promise<number> {
  try {
    return await api.addKey(name, publicKey.trim(), signal);
  } catch (error) {
    if (!isBeltError(error, 'driver')) throw error;
    const there = (await api.keys(signal)).find((key) => key.fingerprint === fingerprint);
    if (there === undefined) throw error;
    return there.id;
  }
}

const blobOf = (publicKey: string): string => publicKey.trim().split(/\s+/)[1] ?? '';

/** MD5 in pairs of hex digits, as the account page shows it. */
function fingerprintOf(publicKey: string): string {
  return createHash('md5').update(Buffer.from(blobOf(publicKey), 'base64')).digest('hex').replaceAll(/(..)(?=.)/g, '$1:');
}

/**
 * Removes what creates have made, once the last droplet is gone: firewall, networks, keys, and the tags `orders` and the cluster's own, where
 * nothing else carries them. Throws the first failure after all else is done, such as a network that something else stands in.
 */
export async function removeNetwork(api: DigitalOceanApi, clusterId: string, orders: readonly string[], signal: AbortSignal): Promise<void> {
  const failures: unknown[] = [];
  const attempt = async (act: () => Promise<void>): Promise<void> => {
    try {
      await act();
    } catch (error) {
      if (isBeltError(error, 'interrupted')) throw error;
      if (!isNotFound(error)) failures.push(error);
    }
  };
  for (const { name, id } of await api.firewalls(signal)) if (name === firewallName(clusterId)) await attempt(() => api.deleteFirewall(id, signal));
  for (const { name, region, id } of await api.vpcs(signal)) if (name === vpcName(clusterId, region)) await attempt(() => api.deleteVpc(id, signal));
  for (const { name, id } of await api.keys(signal)) if (name.startsWith(keyPrefix(clusterId))) await attempt(() => api.deleteKey(String(id), signal));
  for (const tag of [...orders, clusterTag(clusterId)]) await attempt(async () => ((await api.tagged(tag, signal)) === 0 ? api.deleteTag(tag, signal) : undefined));
  if (failures.length > 0) throw failures[0];
}
