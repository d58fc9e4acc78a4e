/**
 * Disks, snapshots and images as the fake subscription checks and makes them. Azure's schemas beside the checkout have none for these; what their
 * documentation rules out is refused here, and TypeScript holds belt's bodies to the SDK's own types.
 */
import { ArmError, type Body, type Resource, type Subscription } from './state.ts';

export const SNAPSHOT = 'Microsoft.Compute/snapshots';
export const IMAGE = 'Microsoft.Compute/images';

type Disk = { diskSizeGB?: number; hyperVGeneration?: string };

/** A PUT of a snapshot or an image with what the platform fills in. Throws {@link ArmError}. */
export function settleDisk(sub: Subscription, type: string, name: string, body: Body): void {
  if (typeof body['location'] !== 'string') throw new ArmError(400, 'LocationRequired', 'The location property is required for this definition.');
  const allowed = type === SNAPSHOT ? /^[\w-]{1,80}$/ : /^[\w.-]{1,80}$/;
  if (!allowed.test(name)) throw new ArmError(400, 'InvalidParameter', `The value '${name}' of parameter 'name' is invalid.`);
  const properties = body['properties'] as Body;
  if (type === SNAPSHOT) settleSnapshot(sub, String(body['location']), properties);
  else settleImage(sub, String(body['location']), properties);
}

function settleSnapshot(sub: Subscription, location: string, properties: Body): void {
  const { createOption, sourceResourceId } = properties['creationData'] as { createOption?: string; sourceResourceId?: string };
  if (createOption !== 'Copy') throw new ArmError(400, 'InvalidParameter', `The value '${createOption}' of parameter 'creationData.createOption' is invalid.`);
  const { diskSizeGB, hyperVGeneration } = source(sub, sourceResourceId, 'Microsoft.Compute/disks', location).body['properties'] as Disk;
  Object.assign(properties, { diskSizeGB, hyperVGeneration, osType: 'Linux', timeCreated: new Date(sub.now()).toISOString() });
}

function settleImage(sub: Subscription, location: string, properties: Body): void {
  const { osDisk } = properties['storageProfile'] as { osDisk: { osType?: string; osState?: string; snapshot?: { id?: string } } };
  if (osDisk.osType !== 'Linux' || osDisk.osState !== 'Generalized') throw new ArmError(400, 'InvalidParameter', "Required parameter 'osDisk.osState' is missing or wrong.");
  const { hyperVGeneration } = source(sub, osDisk.snapshot?.id, SNAPSHOT, location).body['properties'] as Disk;
  if (properties['hyperVGeneration'] !== hyperVGeneration) throw new ArmError(400, 'InvalidParameter', 'The hypervisor generation of the image does not match that of its source.');
}

/** What `id` names, of this type and in this place. Throws {@link ArmError}. */
function source(sub: Subscription, id: string | undefined, type: string, location: unknown): Resource {
  const found = sub.resources.get((id ?? '').toLowerCase());
  if (found?.type !== type) throw new ArmError(404, 'ResourceNotFound', `The Resource '${id}' was not found.`);
  if (found.body['location'] !== location) throw new ArmError(400, 'InvalidParameter', `'${id}' is in another location.`);
  return found;
}

/** An image that is named by its id must be there, in the machine's own place. Throws {@link ArmError}. */
export function checkImage(sub: Subscription, storageProfile: unknown, location: unknown): void {
  const id = (storageProfile as { imageReference?: { id?: string } } | undefined)?.imageReference?.id;
  if (id !== undefined) source(sub, id, IMAGE, location);
}
