/** A cluster's parts on DigitalOcean that are not as they must be: firewall, networks, keys and the tag. */
import type { ClusterTag } from '../../src/provision/driver.ts';
import { type CloudPart, type Parts, partsOf } from '../../src/provision/parts.ts';
import { type ApiPorts, DigitalOceanApi } from './api.ts';
import { ensureFirewall, firewallName, keyPrefix, lacking, vpcName } from './network.ts';
import type { DigitalOceanOptions } from './options.ts';
import { clusterTag } from './tags.ts';

export function createParts(options: DigitalOceanOptions, ports: ApiPorts = {}): Parts {
  return partsOf(
    () => DigitalOceanApi.open(options, ports),
    (api, cluster, signal) => findParts(api, cluster, options, signal),
    (api, { clusterId }, part, signal) => (part.state === 'unused' ? remove(api, part, signal) : ensureFirewall(api, clusterId, options, signal)),
  );
}

async function findParts(api: DigitalOceanApi, { clusterId }: ClusterTag, options: DigitalOceanOptions, signal: AbortSignal): Promise<CloudPart[]> {
  const tag = clusterTag(clusterId);
  const regions = new Set((await api.dropletsByTag(tag, signal)).map((droplet) => droplet.region.slug));
  const unused = { region: null, state: 'unused', why: 'no machine needs it' } as const;
  const firewall = (await api.firewalls(signal)).find(({ name }) => name === firewallName(clusterId));
  const parts: CloudPart[] = [];
  const named = { kind: 'firewall', name: firewallName(clusterId), region: null };
  if (firewall !== undefined && regions.size === 0) parts.push({ ...unused, ...named, id: firewall.id });
  else if (firewall === undefined && regions.size > 0 && options.firewall) parts.push({ ...named, id: null, state: 'missing', why: 'every port of the machines is open' });
  else if (firewall !== undefined && options.firewall) {
    const lacks = lacking(firewall, clusterId, options);
    const why = [...(lacks.tag ? ['is on no machine'] : []), ...(lacks.rules.length > 0 ? [`lacks ${lacks.rules.length} of its rules`] : [])].join(', ');
    if (why !== '') parts.push({ ...named, id: firewall.id, state: 'incomplete', why });
  }
  const vpcs = (await api.vpcs(signal)).filter(({ name, region }) => name === vpcName(clusterId, region) && !regions.has(region));
  parts.push(...vpcs.map(({ id, name, region }): CloudPart => ({ ...unused, kind: 'VPC', name, id, region })));
  if (regions.size > 0) return parts;
  const keys = (await api.keys(signal)).filter(({ name }) => name.startsWith(keyPrefix(clusterId)));
  parts.push(...keys.map(({ id, name }): CloudPart => ({ ...unused, kind: 'SSH key', name, id: String(id) })));
  if ((await api.tagged(tag, signal)) === 0) parts.push({ ...unused, kind: 'tag', name: tag, id: tag });
  return parts;
}

function remove(api: DigitalOceanApi, { kind, id }: CloudPart, signal: AbortSignal): Promise<void> {
  const its = id ?? '';
  if (kind === 'firewall') return api.deleteFirewall(its, signal);
  if (kind === 'VPC') return api.deleteVpc(its, signal);
  return kind === 'tag' ? api.deleteTag(its, signal) : api.deleteKey(its, signal);
}
