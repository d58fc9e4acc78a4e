/**
 * A stateful Azure Resource Manager with its login server, over https on loopback: PUT by name, long-running operations with absolute
 * links, lists in pages, limits with Retry-After. PUT bodies are checked against Azure's own schemas.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FakeReply, FakeRequest, FakeService } from '../http-fake.ts';
import { startFake, type RunningFake } from '../http-fake.ts';
import { scaledClock } from '../limits.ts';
import { checkImage, IMAGE, settleDisk, SNAPSHOT } from './disks.ts';
import { belongsTo, coresOf, growScaleSet, instanceView, provisioningState, renderGroup, renderResource, settleInterface } from './render.ts';
import { PutSchemas } from './schemas.ts';
import { ArmError, SIZES, Subscription, type Body, type Resource, type SubscriptionOptions } from './state.ts';

export const FAKE_SUBSCRIPTION = '00000000-1111-2222-3333-444444444444';
export const FAKE_TENANT = '99999999-8888-7777-6666-555555555555';
const VM = 'Microsoft.Compute/virtualMachines';
const SET = 'Microsoft.Compute/virtualMachineScaleSets';
const NIC = 'Microsoft.Network/networkInterfaces';
const PIP = 'Microsoft.Network/publicIPAddresses';

export interface AzureFake extends RunningFake {
  readonly subscription: Subscription;
  /** The fake's own certificate, to be trusted by the client. */
  readonly ca: string;
  readonly violations: string[];
  readonly throttled: () => number;
  readonly settings: Settings;
}

/** What a test may change while the fake runs. */
export interface Settings {
  /** The client secret that is accepted. */
  clientSecret: string;
  /** The bearer token that is accepted. */
  token: string;
  /** Items on a page of a list. */
  pageSize: number;
}

/** Starts a fake subscription; the client secret is `fake-secret` unless told otherwise. */
export async function startAzure(options: Partial<SubscriptionOptions> & { clientSecret?: string } = {}): Promise<AzureFake> {
  const tls = selfSigned();
  const service = new AzureService(options);
  const running = await startFake(service, tls);
  service.base = running.url;
  return { ...running, subscription: service.sub, ca: tls.cert, violations: service.violations, throttled: () => service.throttled, settings: service.settings };
}

function selfSigned(): { key: string; cert: string } {
  const dir = mkdtempSync(join(tmpdir(), 'belt-fake-azure-'));
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(dir, 'k.pem'), '-out', join(dir, 'c.pem'), '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'], { stdio: 'ignore' });
    return { key: readFileSync(join(dir, 'k.pem'), 'utf8'), cert: readFileSync(join(dir, 'c.pem'), 'utf8') };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

interface Route {
  readonly group: string | null;
  readonly type: string | null;
  readonly name: string | null;
  readonly action: string | null;
}

class AzureService implements FakeService {
  base = '';
  throttled = 0;
  readonly violations: string[] = [];
  readonly sub: Subscription;
  readonly #schemas = new PutSchemas();
  readonly settings: Settings;

  constructor(options: Partial<SubscriptionOptions> & { clientSecret?: string }) {
    this.settings = { clientSecret: options.clientSecret ?? 'fake-secret', token: 'fake.bearer.token', pageSize: 100 };
    this.sub = new Subscription(FAKE_SUBSCRIPTION, { clock: scaledClock(1), bootMs: 50, capacity: new Map(), coreQuota: 100_000, limitScale: 1, ...options });
  }

  /** `PUT virtualMachines`, `GET virtualMachines` (one), `LIST virtualMachines`, `POST start`, `GET operations`, `token`. */
  nameOf(request: Omit<FakeRequest, 'name'>): string {
    if (request.path.includes('/oauth2/') || request.path.includes('/.well-known/')) return 'token';
    const route = parse(request.path);
    const type = route.type?.split('/').at(-1) ?? (route.group === null ? 'subscription' : 'resourceGroups');
    if (route.action !== null) return `${request.method} ${route.action}`;
    return `${request.method === 'GET' && route.name === null && route.type !== null ? 'LIST' : request.method} ${type}`;
  }

  handle(request: FakeRequest): FakeReply {
    try {
      if (request.name === 'token') return this.#login(request);
      if (request.headers.authorization !== `Bearer ${this.settings.token}`) throw new ArmError(401, 'AuthenticationFailed', 'Authentication failed.');
      if (!request.path.toLowerCase().startsWith(`/subscriptions/${FAKE_SUBSCRIPTION}`)) throw new ArmError(404, 'SubscriptionNotFound', 'The subscription could not be found.');
      this.#sweep();
      return this.#dispatch(request);
    } catch (error) {
      if (!(error instanceof ArmError)) throw error;
      if (error.status === 429) this.throttled += 1;
      const headers = error.retryAfterSeconds === null ? {} : { 'retry-after': String(error.retryAfterSeconds) };
      return json(error.status, { error: { code: error.code, message: error.message } }, headers);
    }
  }

  #login(request: FakeRequest): FakeReply {
    const root = `${this.base}/${FAKE_TENANT}`;
    if (request.method === 'GET') {
      return json(200, { token_endpoint: `${root}/oauth2/v2.0/token`, authorization_endpoint: `${root}/oauth2/v2.0/authorize`, issuer: `${root}/v2.0`, jwks_uri: `${root}/discovery/v2.0/keys`, tenant_region_scope: 'EU' });
    }
    const form = new URLSearchParams(request.body.toString('utf8'));
    if (form.get('client_secret') !== this.settings.clientSecret) return json(401, { error: 'invalid_client', error_description: 'AADSTS7000215: Invalid client secret provided.' });
    return json(200, { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: this.settings.token });
  }

  /** Groups whose deletion is over take everything in them along. */
  #sweep(): void {
    for (const [key, group] of this.sub.groups) {
      if (group.deleteAtMs === null || this.sub.now() < group.deleteAtMs) continue;
      this.sub.groups.delete(key);
      for (const r of [...this.sub.resources.values()]) if (r.group.toLowerCase() === key) this.sub.remove(r);
    }
  }

  #dispatch(request: FakeRequest): FakeReply {
    const route = parse(request.path);
    const operation = /\/(operations|operationResults)\/([0-9a-f-]+)$/.exec(request.path);
    if (operation !== null) return this.#operation(operation[1] as string, operation[2] as string);
    this.sub.spend(request.method === 'GET' || request.method === 'HEAD' ? 'read' : request.method === 'DELETE' ? 'delete' : 'write');
    if (route.type === null) return route.group === null && !/resourcegroups/i.test(request.path) ? json(200, { subscriptionId: FAKE_SUBSCRIPTION, state: 'Enabled', displayName: 'fake' }) : this.#group(request, route.group);
    if (/\/skus$/i.test(request.path)) return this.#skus(request);
    if (/\/locations\/[^/]+\/usages$/i.test(request.path)) {
      return json(200, { value: [{ unit: 'Count', currentValue: this.sub.usedCores(), limit: this.sub.options.coreQuota, name: { value: 'cores', localizedValue: 'Total Regional vCPUs' } }] });
    }
    if (route.name === null) return this.#list(request, route.group, route.type);
    const group = this.sub.groups.get((route.group as string).toLowerCase());
    if (group === undefined) throw noGroup(route.group as string);
    if (group.deleteAtMs !== null && request.method === 'PUT') throw new ArmError(409, 'ResourceGroupBeingDeleted', `The resource group '${group.name}' is in deprovisioning state and cannot perform this operation.`);
    return this.#resource(request, group.name, route.type, route.name, route.action);
  }

  #operation(kind: string, id: string): FakeReply {
    this.sub.spend('operation');
    const op = this.sub.operations.get(id);
    if (op === undefined) throw new ArmError(404, 'NotFound', 'The operation is not known.');
    const over = this.sub.now() >= op.doneMs;
    const made = this.sub.resources.get(op.result?.toLowerCase() ?? '');
    if (kind === 'operationResults') return over ? json(200, made === undefined ? {} : renderResource(this.sub, made, false)) : json(202, {}, { location: `${this.base}${this.#operationPath('operationResults', id)}` });
    if (!over) return json(200, { status: 'InProgress', name: id });
    const failure = op.failure();
    return json(200, failure === null ? { status: 'Succeeded', name: id } : { status: 'Failed', name: id, error: failure });
  }

  #operationPath(kind: string, id: string): string {
    return `/subscriptions/${FAKE_SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/${kind}/${id}`;
  }

  #accepted(status: number, body: unknown, id: string): FakeReply {
    const headers = { 'azure-asyncoperation': `${this.base}${this.#operationPath('operations', id)}`, location: `${this.base}${this.#operationPath('operationResults', id)}` };
    return json(status, body, status === 201 ? { 'azure-asyncoperation': headers['azure-asyncoperation'] } : headers);
  }

  #group(request: FakeRequest, name: string | null): FakeReply {
    const groups = this.sub.groups;
    if (name === null) {
      const filter = /tagName eq '([^']+)'(?: and tagValue eq '([^']+)')?/.exec(request.query.get('$filter') ?? '');
      const found = [...groups.values()].filter((g) => filter === null || (filter[2] === undefined ? (filter[1] as string) in g.tags : g.tags[filter[1] as string] === filter[2]));
      return json(200, { value: found.map((g) => renderGroup(this.sub, g)) });
    }
    const key = name.toLowerCase();
    const group = groups.get(key);
    if (request.method === 'PUT') {
      const body = JSON.parse(request.body.toString('utf8')) as { location?: string; tags?: Body };
      if (typeof body.location !== 'string') throw new ArmError(400, 'LocationRequired', 'The location property is required for this definition.');
      if (group?.deleteAtMs) throw new ArmError(409, 'ResourceGroupBeingDeleted', 'The resource group is in deprovisioning state.');
      const made = { name, location: body.location, tags: body.tags ?? {}, deleteAtMs: null };
      groups.set(key, made);
      return json(group === undefined ? 201 : 200, renderGroup(this.sub, made));
    }
    if (group === undefined) throw noGroup(name);
    if (request.method === 'DELETE') {
      group.deleteAtMs ??= this.sub.now() + this.sub.options.bootMs;
      return this.#accepted(202, undefined, this.sub.operation(group.deleteAtMs, () => null, null));
    }
    return request.method === 'HEAD' ? { status: 204 } : json(200, renderGroup(this.sub, group));
  }

  #skus(request: FakeRequest): FakeReply {
    const location = /location eq '([^']+)'/.exec(request.query.get('$filter') ?? '')?.[1] ?? 'westeurope';
    const value = SIZES.map((s) => ({
      resourceType: 'virtualMachines', name: s.name, tier: 'Standard', size: s.name.replace('Standard_', ''), locations: [location], restrictions: [],
      capabilities: [{ name: 'MemoryGB', value: String(s.memoryMb / 1024) }, { name: 'vCPUs', value: String(s.vcpus) }, { name: 'CpuArchitectureType', value: 'x64' }],
    }));
    return json(200, { value });
  }

  #list(request: FakeRequest, group: string | null, type: string): FakeReply {
    this.sub.spend(type.startsWith('Microsoft.Network') ? 'networkRead' : 'listVm');
    if (group !== null && !this.sub.groups.has(group.toLowerCase())) throw noGroup(group);
    const ofSet = /^'virtualMachineScaleSet\/id' eq '([^']+)'$/.exec(request.query.get('$filter') ?? '')?.[1];
    const all = this.sub.list(group, type).filter((resource) => ofSet === undefined || belongsTo(resource, { id: ofSet }));
    const start = Number(request.query.get('$skiptoken') ?? 0);
    const page = all.slice(start, start + this.settings.pageSize);
    const expand = /instanceView/i.test(request.query.get('$expand') ?? '') || request.query.get('statusOnly') === 'true';
    const next = new URLSearchParams(request.query);
    next.set('$skiptoken', String(start + this.settings.pageSize));
    return json(200, { value: page.map((r) => renderResource(this.sub, r, expand)), ...(start + this.settings.pageSize < all.length ? { nextLink: `${this.base}${request.path}?${next.toString()}` } : {}) });
  }

  #resource(request: FakeRequest, group: string, type: string, name: string, action: string | null): FakeReply {
    const found = this.sub.get(group, type, name);
    const network = type.startsWith('Microsoft.Network');
    if (request.method === 'PUT') return this.#put(request, group, type, name);
    if (found === undefined) {
      if (request.method === 'DELETE') return { status: 204 };
      throw new ArmError(404, 'ResourceNotFound', `The Resource '${type}/${name}' under resource group '${group}' was not found.`);
    }
    if (action !== null && request.method === 'POST') return this.#act(found, action);
    if (request.method === 'GET') {
      this.sub.spend(network ? 'networkRead' : 'getVm');
      return json(200, action === 'instanceView' ? instanceView(this.sub, found) : renderResource(this.sub, found, /instanceView/i.test(request.query.get('$expand') ?? '')));
    }
    if (request.method === 'DELETE') return this.#delete(found);
    return this.#patch(request, found);
  }

  #put(request: FakeRequest, group: string, type: string, name: string): FakeReply {
    const sub = this.sub;
    const body = JSON.parse(request.body.toString('utf8')) as Body;
    const problem = this.#schemas.problem(type, name, body);
    if (problem !== null) {
      this.violations.push(`PUT ${type}/${name}: ${problem}`);
      throw new ArmError(400, 'InvalidParameter', problem);
    }
    sub.spend(type === VM ? 'putVm' : type === SET ? 'putSet' : type.startsWith('Microsoft.Network') ? 'networkWrite' : 'actVm');
    if (type === SNAPSHOT || type === IMAGE) settleDisk(sub, type, name, body);
    if (type === SET) checkImage(sub, ((body['properties'] as Body)['virtualMachineProfile'] as Body)['storageProfile'], body['location']);
    if (type === VM && sub.get(group, type, name) === undefined) this.#checkMachine(body, 1);
    if (type === NIC) settleInterface(sub, body);
    if (type === PIP) (body['properties'] as Body)['ipAddress'] ??= sub.nextAddress('public');
    const { resource, created } = sub.put(group, type, name, body);
    if (type === SET) {
      resource.failure = growScaleSet(sub, resource);
      resource.doneMs = sub.now() + sub.options.bootMs;
    }
    if (type === VM && created && sub.takeCapacity(sizeName(body), 1) === 0) {
      resource.failure = { code: 'AllocationFailed', message: 'Allocation failed. We do not have sufficient capacity for the requested VM size in this region.' };
    }
    // Snapshots are accepted where all else is created.
    return this.#accepted(created ? (type === SNAPSHOT ? 202 : 201) : 200, renderResource(sub, resource, false), sub.operation(resource.doneMs, () => resource.failure, resource.id));
  }

  #checkMachine(body: Body, count: number): void {
    checkImage(this.sub, (body['properties'] as Body)['storageProfile'], body['location']);
    const properties = body['properties'] as { networkProfile?: { networkInterfaces?: { id: string }[] }; osProfile?: { adminUsername?: string; customData?: string } };
    if (!SIZES.some((s) => s.name === sizeName(body))) throw new ArmError(400, 'InvalidParameter', `The value ${sizeName(body)} provided for the VM size is not valid.`);
    if (['root', 'admin'].includes(properties.osProfile?.adminUsername ?? '')) throw new ArmError(400, 'InvalidParameter', 'The Admin Username specified is not allowed.');
    for (const nic of properties.networkProfile?.networkInterfaces ?? []) {
      if (!this.sub.resources.has(nic.id.toLowerCase())) throw new ArmError(400, 'InvalidResourceReference', `Resource ${nic.id} was not found.`);
    }
    const needed = this.sub.usedCores() + coresOf(body, count);
    if (needed > this.sub.options.coreQuota) {
      throw new ArmError(409, 'OperationNotAllowed', `Operation could not be completed as it results in exceeding approved Total Regional Cores quota. New Limit Required: ${needed}.`);
    }
  }

  #patch(request: FakeRequest, found: Resource): FakeReply {
    this.sub.spend(found.type === SET ? 'putSet' : 'actVm');
    const change = JSON.parse(request.body.toString('utf8')) as Body;
    if (change['tags'] !== undefined) found.body['tags'] = change['tags'];
    if (change['sku'] !== undefined) found.body['sku'] = { ...(found.body['sku'] as Body), ...(change['sku'] as Body) };
    const size = (change['properties'] as { hardwareProfile?: { vmSize?: string } } | undefined)?.hardwareProfile?.vmSize;
    if (size !== undefined) {
      if (!SIZES.some((s) => s.name === size)) throw new ArmError(400, 'InvalidParameter', `The value ${size} provided for the VM size is not valid.`);
      found.body['properties'] = { ...(found.body['properties'] as Body), hardwareProfile: { vmSize: size } };
    }
    if (found.type === SET) found.failure = growScaleSet(this.sub, found);
    return json(200, renderResource(this.sub, found, false));
  }

  #act(found: Resource, action: string): FakeReply {
    this.sub.spend('actVm');
    if (provisioningState(this.sub, found) === 'Creating') throw new ArmError(409, 'Conflict', 'Another operation is in progress on the resource.');
    const power = ({ start: 'running', poweroff: 'stopped', deallocate: 'deallocated', restart: 'running' } as const)[action.toLowerCase()];
    if (power === undefined) throw new ArmError(400, 'InvalidParameter', `the fake does not know ${action}`);
    found.power = power;
    return this.#accepted(202, undefined, this.sub.operation(this.sub.now() + this.sub.options.bootMs / 2, () => null, null));
  }

  #delete(found: Resource): FakeReply {
    this.sub.spend(found.type.startsWith('Microsoft.Network') ? 'networkWrite' : 'deleteVm');
    if (found.type === SET) for (const vm of this.sub.list(found.group, VM)) if (belongsTo(vm, found)) this.#removeMachine(vm);
    if (found.type === VM) this.#removeMachine(found);
    else this.sub.remove(found);
    return this.#accepted(202, undefined, this.sub.operation(this.sub.now() + this.sub.options.bootMs / 5, () => null, null));
  }

  /** `deleteOption: Delete` takes the interface along, and the interface's own takes the address. */
  #removeMachine(vm: Resource): void {
    const links = (vm.body['properties'] as { networkProfile?: { networkInterfaces?: { id: string; properties?: { deleteOption?: string } }[] } }).networkProfile?.networkInterfaces ?? [];
    for (const link of links) {
      const nic = this.sub.resources.get(link.id.toLowerCase());
      if (nic === undefined || link.properties?.deleteOption !== 'Delete') continue;
      this.sub.remove(nic);
      const configs = (nic.body['properties'] as { ipConfigurations?: { properties?: { publicIPAddress?: { id: string; properties?: { deleteOption?: string } } } }[] }).ipConfigurations ?? [];
      for (const config of configs) {
        const address = config.properties?.publicIPAddress;
        const pip = address?.properties?.deleteOption === 'Delete' ? this.sub.resources.get(address.id.toLowerCase()) : undefined;
        if (pip !== undefined) this.sub.remove(pip);
      }
    }
    this.sub.remove(vm);
  }
}

const noGroup = (name: string): ArmError => new ArmError(404, 'ResourceGroupNotFound', `Resource group '${name}' could not be found.`);
const sizeName = (body: Body): string => String((body['properties'] as { hardwareProfile?: { vmSize?: string } }).hardwareProfile?.vmSize ?? '');

function parse(path: string): Route {
  const match = /^\/subscriptions\/[^/]+(?:\/resourcegroups(?:\/([^/]+))?)?(?:\/providers\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?)?/i.exec(path);
  const [, group, namespace, kind, name, action] = match ?? [];
  return { group: group ?? null, type: namespace === undefined ? null : `${namespace}/${kind}`, name: name === undefined ? null : decodeURIComponent(name), action: action ?? null };
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): FakeReply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body: body === undefined ? '' : JSON.stringify(body) };
}
