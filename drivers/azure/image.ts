/** What machines are made from: an image of the marketplace, `publisher:offer:sku:version`, or a resource of the subscription by its id. */
import type { ImageReference, VirtualMachine } from '@azure/arm-compute';
import type { AzureApi } from './api.ts';

/** Group and name of a resource of a group. */
export function resourceOf(id: string): { group: string; name: string } {
  const parts = id.split('/');
  return { group: parts[4] ?? '', name: parts.at(-1) ?? '' };
}

export function imageReference(image: string): ImageReference {
  if (image.startsWith('/')) return { id: image };
  const [publisher = '', offer = '', sku = '', version = ''] = image.split(':');
  return { publisher, offer, sku, version };
}

/** The image of a machine, as it is shown. */
export function imageOf(vm: VirtualMachine): string | null {
  const { id, publisher, offer, sku, version } = vm.storageProfile?.imageReference ?? {};
  return publisher === undefined ? (id === undefined ? null : resourceOf(id).name) : [publisher, offer, sku, version].join(':');
}

/**
 * What the order's machines can be made from: a snapshot cannot, but an image of it, which is made beside it once. Generalized, so that a machine of it
 * is a new one to Azure and to cloud-init: with a name, keys and user data of its own. Anything else is given back as it is.
 */
export async function usableImage(api: AzureApi, image: string | null, signal: AbortSignal): Promise<string | null> {
  if (image === null || !/\/Microsoft\.Compute\/snapshots\/[^/]+$/i.test(image)) return image;
  const { group, name } = resourceOf(image);
  const { location, tags, hyperVGeneration } = await api.call('listVm', () => api.compute.snapshots.get(group, name, { abortSignal: signal }), signal);
  const body = { location, tags: { ...tags }, hyperVGeneration: hyperVGeneration ?? 'V2', storageProfile: { osDisk: { osType: 'Linux' as const, osState: 'Generalized' as const, snapshot: { id: image } } } };
  const made = await api.call('putVm', async () => api.compute.images.createOrUpdate(group, name, body, { abortSignal: signal, ...api.wait }), signal);
  return made.id ?? null;
}
