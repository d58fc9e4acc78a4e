/** The adapter against a socket that says what Docker Engine 20.10 says (API 1.41), word for word where belt decides by it. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { dockerEngine, toEngineNode } from '../../../src/swarm-agent/engine/docker.ts';
import { saveSwarmFolder, swarmSealed } from '../../../src/swarm-agent/engine/local.ts';

interface Call { readonly method: string; readonly url: string; readonly body: unknown }
type Reply = [status: number, body: unknown];

let folder: string;
let socketPath: string;
let server: Server;
let calls: Call[];
let answers: Record<string, Reply[]>;
const signal = (): AbortSignal => AbortSignal.timeout(5_000);

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'belt-engine-'));
  socketPath = path.join(folder, 'docker.sock');
  calls = [];
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; }).on('end', () => {
      calls.push({ method: request.method ?? '', url: request.url ?? '', body: text === '' ? null : JSON.parse(text) });
      const queue = answers[`${request.method} ${(request.url ?? '').split('?')[0]}`] ?? [];
      const [status, body] = (queue.length > 1 ? queue.shift() : queue[0]) ?? [404, { message: 'page not found' }];
      response.writeHead(status, { 'content-type': 'application/json' }).end(body === null ? undefined : JSON.stringify(body));
    });
  });
  server.listen(socketPath);
  await once(server, 'listening');
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const SWARM: Reply = [200, { ID: 's1', JoinTokens: { Worker: 'SWMTKN-w', Manager: 'SWMTKN-m' } }];
const info = (state: string, manager: boolean): Reply => [200, { ServerVersion: '20.10.24', Swarm: { LocalNodeState: state, NodeID: state === 'inactive' ? '' : 'n1', ControlAvailable: manager, Cluster: manager ? { ID: 's1' } : null } }];
const node = (index: number, role = 'worker') => ({ ID: 'n1', Version: { Index: index }, Spec: { Role: role, Availability: 'active', Labels: { a: '1' } }, Description: { Hostname: 'h', Engine: { EngineVersion: '20.10' } }, Status: { State: 'ready', Addr: '10.0.0.1' } });

describe('info', () => {
  test('in belt’s words', async () => {
    answers = { 'GET /info': [info('inactive', false), info('active', true), info('strange', false)] };
    const engine = dockerEngine(socketPath);
    expect(await engine.info(signal())).toEqual({ version: '20.10.24', swarm: 'inactive', nodeId: null, swarmId: null, isManager: false });
    expect(await engine.info(signal())).toEqual({ version: '20.10.24', swarm: 'active', nodeId: 'n1', swarmId: 's1', isManager: true });
    expect(await engine.info(signal())).toMatchObject({ swarm: 'error' });
  });

  test('Docker’s own folder is where its data-root is, and its seal is looked for there', async () => {
    const engine = dockerEngine(socketPath);
    expect(engine.dataRoot).toBe('/var/lib/docker');
    const [status, body] = info('active', true);
    answers = { 'GET /info': [[status, { ...body as object, DockerRootDir: folder }], [500, { message: 'no' }]] };
    await engine.info(signal());
    await engine.info(signal());
    expect(engine.dataRoot).toBe(folder);
    const key = path.join(folder, 'swarm', 'certificates', 'swarm-node.key');
    mkdirSync(path.dirname(key), { recursive: true });
    writeFileSync(key, 'Proc-Type: 4,ENCRYPTED');
    expect(await swarmSealed(engine)).toBe(true);
    await saveSwarmFolder(engine, path.join(folder, 'backup'), new Date('2026-11-28T00:00:00Z'));
    expect(readFileSync(path.join(folder, 'backup', 'docker-swarm-2026-11-28T00-00-00-000Z', 'certificates', 'swarm-node.key'), 'utf8')).toContain('ENCRYPTED');
    writeFileSync(key, 'PRIVATE KEY');
    expect(await swarmSealed(engine)).toBe(false);
  });

  test('null where nobody listens', async () => {
    expect(await dockerEngine(path.join(folder, 'none.sock')).info(signal())).toBeNull();
  });
});

describe('forming and joining', () => {
  test('init says where it is reached, and ends with the tokens', async () => {
    answers = { 'POST /swarm/init': [[200, 'n1']], 'GET /swarm': [SWARM] };
    expect(await dockerEngine(socketPath).init({ advertise: '10.0.0.1', availability: 'drain', forceNew: false }, signal())).toEqual({ swarmId: 's1', worker: 'SWMTKN-w', manager: 'SWMTKN-m', autolock: false });
    expect(calls[0]).toEqual({ method: 'POST', url: '/swarm/init', body: { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '10.0.0.1', ForceNewCluster: false, Availability: 'drain' } });
  });

  test('init again after a crash finds the swarm that was made; a worker is not taken for one that made it', async () => {
    const already: Reply = [503, { message: 'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.' }];
    answers = { 'POST /swarm/init': [already], 'GET /swarm': [SWARM], 'GET /info': [info('active', true), info('active', false)] };
    const engine = dockerEngine(socketPath);
    const options = { advertise: '10.0.0.1', availability: 'drain', forceNew: false } as const;
    expect((await engine.init(options, signal())).swarmId).toBe('s1');
    await expect(engine.init(options, signal())).rejects.toMatchObject({ code: 'engine', message: expect.stringContaining('already part of a swarm') });
  });

  test('join goes to every manager on Docker’s own port', async () => {
    answers = { 'POST /swarm/join': [[200, null]] };
    await dockerEngine(socketPath).join({ managers: ['10.0.0.1', '10.0.0.2:12377'], token: 'T', advertise: '10.0.0.9', availability: 'drain' }, signal());
    expect(calls[0]?.body).toMatchObject({ RemoteAddrs: ['10.0.0.1:2377', '10.0.0.2:12377'], JoinToken: 'T', AdvertiseAddr: '10.0.0.9', Availability: 'drain' });
  });

  test('leaving what one is not in is as asked; a manager’s refusal is Docker’s own words', async () => {
    answers = { 'POST /swarm/leave': [[503, { message: 'This node is not part of a swarm' }], [503, { message: 'You are attempting to leave the swarm on a node that is participating as a manager.' }]], 'GET /info': [info('inactive', false), info('active', true)] };
    const engine = dockerEngine(socketPath);
    await engine.leave({ force: true }, signal());
    expect(calls[0]?.url).toBe('/swarm/leave?force=true');
    await expect(engine.leave({ force: false }, signal())).rejects.toMatchObject({ code: 'engine', message: expect.stringContaining('participating as a manager') });
  });
});

describe('nodes', () => {
  test('an update keeps what it does not change, and goes again when somebody was faster', async () => {
    answers = { 'GET /nodes/n1': [[200, node(7)], [200, node(8)]], 'POST /nodes/n1/update': [[500, { message: 'rpc error: code = Unknown desc = update out of sequence' }], [200, null]] };
    await dockerEngine(socketPath).updateNode('n1', { availability: 'drain' }, signal());
    expect(calls.filter((call) => call.method === 'POST').map((call) => call.url)).toEqual(['/nodes/n1/update?version=7', '/nodes/n1/update?version=8']);
    expect(calls.at(-1)?.body).toEqual({ Role: 'worker', Availability: 'drain', Labels: { a: '1' } });
  });

  test('removing what is gone is as asked, a refusal is not', async () => {
    answers = { 'DELETE /nodes/n1': [[404, { message: 'node n1 not found' }], [400, { message: 'node n1 is a cluster manager and is a member of the raft cluster' }]] };
    const engine = dockerEngine(socketPath);
    await engine.removeNode('n1', { force: true }, signal());
    expect(calls[0]?.url).toBe('/nodes/n1?force=true');
    await expect(engine.removeNode('n1', { force: true }, signal())).rejects.toMatchObject({ code: 'engine' });
  });

  test('without a leader the same call may succeed later', async () => {
    answers = { 'GET /nodes': [[503, { message: 'The swarm does not have a leader.' }]] };
    await expect(dockerEngine(socketPath).nodes(signal())).rejects.toMatchObject({ code: 'engine', retryable: true });
  });

  test.each([
    [{ Leader: true, Reachability: 'reachable', Addr: '10.0.0.1:2377' }, 'leader', '10.0.0.1'], [{ Reachability: 'reachable', Addr: '10.0.0.2:2377' }, 'reachable', '10.0.0.2'],
    [{ Reachability: 'unreachable', Addr: '10.0.0.3:2377' }, 'unreachable', '10.0.0.3'], [undefined, null, '10.0.0.1'],
  ])('manager status %j is %s at %s', (status, reachability, address) => {
    const shown = toEngineNode({ ...node(1, 'manager'), ...(status === undefined ? {} : { ManagerStatus: status }) } as never);
    expect(shown).toMatchObject({ reachability, address, role: 'manager', labels: { a: '1' }, state: 'ready' });
  });
});

test('an engine that hangs is given up when the signal fires', async () => {
  server.removeAllListeners('request');
  await expect(dockerEngine(socketPath).nodes(AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'timeout' });
});
