/** How the fake account's holdings look in replies. */
import { REGIONS, SIZES, type Account, type Action, type Droplet, type Snapshot } from './state.ts';

const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

export function renderRegion(slug: string): Record<string, unknown> {
  return { name: slug, slug, features: ['metadata'], available: true, sizes: SIZES.filter((s) => s.regions.includes(slug)).map((s) => s.slug) };
}

/** A droplet; its networks are empty while it is new. */
export function renderDroplet(account: Account, droplet: Droplet): Record<string, unknown> {
  const status = account.status(droplet);
  const low = droplet.id & 0xffff;
  const address = (type: string, a: number): Record<string, unknown> => ({ ip_address: `${a}.${(droplet.id >> 16) & 0xff}.${low >> 8}.${low & 0xff}`, netmask: '255.255.240.0', gateway: `${a}.0.0.1`, type });
  return {
    id: droplet.id,
    name: droplet.name,
    memory: droplet.size.memory,
    vcpus: droplet.size.vcpus,
    disk: droplet.size.disk,
    locked: account.now() < droplet.busyUntilMs,
    status,
    created_at: iso(droplet.createdMs),
    features: ['private_networking'],
    backup_ids: [],
    next_backup_window: null,
    snapshot_ids: [],
    image: { ...imageName(account, droplet.image), distribution: 'Debian', public: true, regions: REGIONS, created_at: iso(0), min_disk_size: 10, size_gigabytes: 2.5, tags: [], status: 'available' },
    volume_ids: [],
    size: droplet.size,
    size_slug: droplet.size.slug,
    networks: status === 'new' ? { v4: [], v6: [] } : { v4: [address('private', 10), address('public', 164)], v6: [] },
    region: renderRegion(droplet.region),
    tags: droplet.tags,
    vpc_uuid: droplet.vpc,
  };
}

function imageName(account: Account, image: string): Record<string, unknown> {
  const snapshot = account.snapshots.get(image);
  return snapshot === undefined ? { id: 1, name: image, type: 'base', slug: image } : { id: Number(image), name: snapshot.name, type: 'snapshot', slug: null };
}

export function renderSnapshot({ id, name, droplet, readyMs, tags }: Snapshot): Record<string, unknown> {
  return { id, name, created_at: iso(readyMs), regions: [droplet.region], min_disk_size: droplet.size.disk, size_gigabytes: 1.5, resource_id: String(droplet.id), resource_type: 'droplet', tags };
}

export function renderAction(account: Account, action: Action, region: string): Record<string, unknown> {
  const done = account.now() >= action.doneMs;
  return {
    id: action.id, status: done ? 'completed' : 'in-progress', type: action.type, started_at: iso(action.startedMs), completed_at: done ? iso(action.doneMs) : null,
    resource_id: action.resource, resource_type: 'droplet', region: renderRegion(region), region_slug: region,
  };
}

/** One page of a list with `links` and `meta` as the API gives them; `base` is the fake's own address. */
export function renderPage(key: string, all: readonly unknown[], query: URLSearchParams, base: string, pageSizeMax = 200): Record<string, unknown> {
  const perPage = Math.min(pageSizeMax, Math.max(1, Number(query.get('per_page') ?? 20)));
  const page = Math.max(1, Number(query.get('page') ?? 1));
  const last = Math.max(1, Math.ceil(all.length / perPage));
  const link = (n: number): string => {
    const q = new URLSearchParams(query);
    q.set('page', String(n));
    return `${base}?${q.toString()}`;
  };
  const pages: Record<string, string> = {};
  if (page > 1) Object.assign(pages, { first: link(1), prev: link(page - 1) });
  if (page < last) Object.assign(pages, { last: link(last), next: link(page + 1) });
  return { [key]: all.slice((page - 1) * perPage, page * perPage), links: Object.keys(pages).length > 0 ? { pages } : {}, meta: { total: all.length } };
}
