/** The node plane: what the agent that is asked answers itself, quorum or not. */
import type { Agent } from '../agent.ts';
import { caDigest, parseToken } from '../../certs/join-token.ts';
import { BeltError } from '../../errors.ts';
import { leftBehind } from '../epoch.ts';
import { initCluster, newNonce } from '../founding.ts';
import { calledBack } from '../left-behind.ts';
import { restoreCluster } from '../restoring.ts';
import { takeBackup } from '../store/backup.ts';
import { unreached } from '../transport/reach.ts';
import { makeCsr } from '../identity/certificates.ts';
import { askToJoin } from '../identity/joining.ts';
import type { CallResult, CheckedParams } from './calls.ts';
import { packBackup, unpackBackup } from './backup.ts';
import { metricsText } from './metrics.ts';
import type { CallContext, Handlers } from './server.ts';
import type { Facts, Health, LastKnown } from './shapes.ts';

/** Handlers of the node plane, and of what members ask each other without a quorum. */
export function nodeHandlers(agent: Agent): Partial<Handlers> {
  return {
    'node.facts': () => factsOf(agent),
    'node.health': ({ state }) => Promise.resolve({ ...healthOf(agent), state: state ? (agent.manager?.group.hash() ?? null) : null }),
    'node.metrics': () => Promise.resolve({ text: metricsText(agent) }),
    'node.logs': ({ lines }) => Promise.resolve({ lines: agent.ports.logTail(lines) }),
    'node.cluster': () => Promise.resolve(lastKnown(agent)),
    'node.reach': async ({ addresses }) => ({ unreached: await unreached(addresses) }),
    'node.reload': () => {
      agent.identity.reload();
      return agent.takeRole().then(() => ({ changed: true }));
    },
    'node.renew': () => agent.renewer.renew().then(() => ({ notAfter: new Date(agent.identity.certificate.notAfter).toISOString() })),
    'node.init': async (_params, { deadline }) => {
      const made = await agent.exclusively(() => initCluster(agent));
      await agent.settledWithEngine(deadline - 200);
      return made;
    },
    'node.join': (params, context) => join(agent, params, context),
    'node.rejoin': (params, context) => rejoin(agent, params, context),
    'node.leave': () => agent.exclusively(() => leave(agent)),
    'node.reform': (params, context) => reform(agent, params, context),
    'node.backup': () => backUp(agent),
    'node.restore': (params, context) => restore(agent, params, context),
    'member.recall': (params) => Promise.resolve(calledBack(agent, params)),
    'member.enter': (params, context) => {
      agent.manager?.group.outlived(params.epoch);
      return needLivingManager(agent).call('member.enter', params, context) as Promise<CallResult<'member.enter'>>;
    },
    'member.renew': async ({ csr }, { caller }) => needLivingManager(agent).enrolment.renew(csr, caller),
    roots: async () => needLivingManager(agent).trustedRoots(),
    'member.membership': async (_params, { caller }) => {
      const membership = needLivingManager(agent).membershipOf(caller.name);
      if (membership === null) throw new BeltError('certificate', `node ${caller.name} is not known here`, { retryable: true });
      return membership;
    },
    'member.keys': async (_params, { caller }) => {
      const sealKey = agent.ports.files.sealKey();
      if (needLivingManager(agent).group.state.tables.nodes.get(caller.name)?.role !== 'manager') throw new BeltError('forbidden', `node ${caller.name} is no manager here yet`, { retryable: true });
      if (sealKey === null) throw new BeltError('failed', 'this manager has no sealing key', { retryable: true });
      return { sealKey };
    },
  };
}

function needManager(agent: Agent): NonNullable<Agent['manager']> {
  if (agent.manager === null) throw new BeltError('unreachable', `${agent.identity.config.machine} is no manager now`, { machine: agent.identity.config.machine, retryable: true });
  return agent.manager;
}

/** Not one that was left behind: what it knows of the cluster counts no more. */
function needLivingManager(agent: Agent): NonNullable<Agent['manager']> {
  const manager = needManager(agent);
  const { epoch, newerEpoch } = manager.group;
  if (newerEpoch !== null) throw leftBehind(epoch, newerEpoch);
  return manager;
}

async function factsOf(agent: Agent): Promise<Facts> {
  const { identity, ports, startedAt } = agent;
  const { config, certificate } = identity;
  const engine = await ports.engine.info(AbortSignal.timeout(2000)).catch(() => null);
  return {
    ...ports.machineFacts(), machine: config.machine, clusterId: config.clusterId, nodeId: identity.node?.id ?? null, role: identity.role,
    address: config.address, datacenter: config.datacenter, agentVersion: ports.version, startedAt: new Date(startedAt).toISOString(),
    engine: ports.engine.kind, engineVersion: engine?.version ?? null,
    certificate: {
      serial: certificate.serial, role: certificate.role,
      notBefore: new Date(certificate.notBefore).toISOString(), notAfter: new Date(certificate.notAfter).toISOString(),
    },
  };
}

function healthOf(agent: Agent): Omit<Health, 'state'> {
  const { identity, manager, session, renewer } = agent;
  const current = session?.current() ?? null;
  const problems = [agent.trouble, manager?.group.problem() ?? null, renewer.problem, session?.problem() ?? null, ...agent.attachment.problems()].filter((problem): problem is string => problem !== null);
  if (identity.certificate.notAfter < agent.ports.clock.now()) problems.push('the certificate has run out');
  if (manager !== null && manager.group.status().leader === null) problems.push('the managers have no leader');
  return {
    machine: identity.config.machine, nodeId: identity.node?.id ?? null, role: identity.role, raft: manager?.view() ?? null,
    session: current, epoch: Math.max(manager?.group.newerEpoch ?? manager?.group.epoch ?? 0, identity.node?.membership.epoch ?? 0), certificateExpires: new Date(identity.certificate.notAfter).toISOString(), problems: [...new Set(problems)],
  };
}

function lastKnown(agent: Agent): LastKnown {
  if (agent.manager !== null) return agent.manager.lastKnown();
  return { asOf: null, nodes: [], managers: [...agent.identity.managers], revoked: [...agent.identity.revoked] };
}

async function join(agent: Agent, { managers, token: text, listed }: CheckedParams<'node.join'>, { deadline }: CallContext): Promise<CallResult<'node.join'>> {
  const { identity, ports } = agent;
  const token = parseToken(text);
  if (wasRemoved(agent, listed)) await agent.exclusively(() => leave(agent));
  const already = identity.role !== 'machine';
  if (already) {
    const { machine } = identity.config;
    if (!identity.roots.some((root) => caDigest(root) === token.caDigest)) throw new BeltError('refused', `${machine} is a node of another cluster than the token’s`, { machine, next: `belt swarm leave ${machine} first` });
  } else {
    await agent.exclusively(async () => {
      if (identity.role !== 'machine') return;
      const { config } = identity;
      const { machine: name, address, datacenter, publicIpv4, privateIpv4, driver, region, size } = config;
      const request = {
        token: text, csr: makeCsr(identity.key, name), nonce: ports.files.joinNonce(newNonce), machine: identity.certificate.pem, name, address, datacenter, publicIpv4, privateIpv4, driver, region, size,
        agentVersion: ports.version, engine: ports.engine.kind,
      };
      const joined = await askToJoin({ managers, request, timeoutMs: Math.max(1, Math.floor(deadline - ports.clock.monotonic())) });
      identity.become(joined.certificate, joined.membership);
      await agent.playRole();
    });
  }
  await agent.settledWithEngine(deadline - 200);
  return { id: identity.certificate.name, role: identity.role === 'manager' ? 'manager' : 'worker', already };
}

/** It was taken out of the cluster while it was off: its certificate is revoked, and no manager will ever speak to it. */
function wasRemoved({ identity, session, manager }: Agent, listed: string | null | undefined): boolean {
  if (identity.role === 'machine' || listed === undefined || listed === identity.certificate.name) return false;
  return (session?.current() ?? null) === null && (manager?.group.status().leader ?? null) === null;
}

/** The operator says where the cluster goes on: a manager throws its Raft state away for that, a worker only looks there too. */
async function rejoin(agent: Agent, { managers }: CheckedParams<'node.rejoin'>, { deadline }: CallContext): Promise<CallResult<'node.rejoin'>> {
  const { identity, peers } = agent;
  if (identity.role === 'machine') throw new BeltError('refused', `${identity.config.machine} is no node yet`, { machine: identity.config.machine, next: 'belt swarm join' });
  // Only those named: any other may be gone, or be one that was left behind and knows the cluster as it was.
  const membership = await peers.any(agent.hint(managers), 'member.membership', {}, { timeoutMs: 5000 });
  const own = agent.manager?.group;
  const isNewer = membership.epoch > (identity.node?.membership.epoch ?? 0);
  agent.learn(membership);
  // A session to a manager that was left behind is none.
  if (isNewer || agent.session?.current() === null) agent.session?.reconnect();
  if (identity.role === 'manager' && own !== undefined && membership.epoch > own.epoch) await agent.enterAnew(membership.epoch);
  await agent.settled(deadline - 200);
  return { id: identity.certificate.name, role: identity.role === 'manager' ? 'manager' : 'worker' };
}

async function leave(agent: Agent): Promise<{ changed: boolean }> {
  if (agent.identity.role === 'machine') return { changed: false };
  await agent.endRole();
  await agent.attachment.leave();
  agent.ports.files.wipeManager();
  agent.identity.leave();
  return { changed: true };
}

/** Goes on alone. The answer waits until this manager leads the reformed group, for it is then that the others may come. */
async function reform(agent: Agent, { epoch }: CheckedParams<'node.reform'>, { deadline }: CallContext): Promise<CallResult<'node.reform'>> {
  const { identity, ports } = agent;
  const { machine } = identity.config;
  if (identity.role !== 'manager') throw new BeltError('refused', `${machine} is no manager: it has no state to go on with`, { machine, next: 'belt swarm rebuild --from a manager' });
  const view = agent.manager?.view();
  const alone = view?.members.length === 1 && view.epoch === epoch;
  const known = healthOf(agent).epoch;
  if (!alone && epoch !== view?.epoch && epoch <= known) throw new BeltError('refused', `${machine} knows of epoch ${known}: the next is ${known + 1}, not ${epoch}`, { machine, next: 'belt swarm rebuild' });
  if (view?.epoch === epoch && !alone) throw new BeltError('refused', `${machine} was reformed to epoch ${epoch} already and has taken in other managers since`, { machine, next: 'belt swarm status' });
  if (!alone) {
    await agent.exclusively(async () => {
      await agent.endRole();
      await ports.reformGroup({ folder: ports.files.paths.raft, id: identity.certificate.name, address: identity.config.address, epoch });
      await agent.playRole();
    });
  }
  await agent.settled(deadline - 200);
  const manager = needManager(agent);
  // Whoever comes next asks who it is: a leader that has not applied its log yet would know nobody.
  await manager.group.read();
  return { changed: !alone, raft: manager.view() };
}

async function backUp(agent: Agent): Promise<CallResult<'node.backup'>> {
  const { group } = needManager(agent);
  const backup = takeBackup(group.state, group.epoch, agent.ports.clock.now());
  if (backup === null) throw new BeltError('failed', `${agent.identity.config.machine} knows nothing of the cluster yet`, { machine: agent.identity.config.machine, next: 'belt swarm status' });
  return { backup: await packBackup(backup) };
}

async function restore(agent: Agent, { backup, epoch }: CheckedParams<'node.restore'>, { deadline }: CallContext): Promise<CallResult<'node.restore'>> {
  const unpacked = await unpackBackup(backup);
  const restored = await agent.exclusively(() => restoreCluster(agent, unpacked, epoch, deadline - 200));
  await agent.settledWithEngine(deadline - 200);
  return restored;
}
