/** The book's lines (docs: "The command line is a contract"), one by one, as a user types them, on machines of the docker driver. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { asOneSession } from './one-session.ts';
import { noMesh, sh, skipReason, until, type Said } from './stage.ts';

const BELT = fileURLToPath(new URL('../../bin/belt', import.meta.url));

describe.skipIf(skipReason !== null)('the book’s session', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-book-'));
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: folder, SHELL: '/bin/bash' };
  const tried = async (line: string, options: { input?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Said> => {
    const said = await sh('bash', ['-c', `"${BELT}" ${line}`], { cwd: folder, timeoutMs: 480_000, env, ...options });
    console.log(`$ belt ${line}\n${said.stdout}${said.stderr}`.trimEnd());
    return said;
  };
  const belt = async (line: string, options: { input?: string } = {}): Promise<string> => {
    const said = await tried(line, options);
    expect(said.code, said.stderr).toBe(0);
    return said.stdout;
  };
  let ip1 = '';
  asOneSession();

  afterAll(async () => {
    await tried('cluster rm --yes swarm2k');
    rmSync(folder, { recursive: true });
  });

  test('a cluster and four machines', async () => {
    await belt('cluster new --driver docker swarm2k');
    await belt("create 512mb 'node[1:4]' --region sgp1,nyc3");
    const [head, ...rows] = (await belt('ls')).trimEnd().split('\n');
    expect(head?.trim().split(/\s+/)).toEqual(['NAME', 'IPv4', 'MEMORY', 'REGION', 'IMAGE', 'STATUS']);
    expect(rows.map((row) => row.trim().split(/\s+/).filter((_, column) => column !== 1))).toEqual([
      ['node1', '512', 'sgp1', 'debian-12', 'active'], ['node2', '512', 'nyc3', 'debian-12', 'active'], ['node3', '512', 'sgp1', 'debian-12', 'active'], ['node4', '512', 'nyc3', 'debian-12', 'active'],
    ]);
    ip1 = (await belt('ip node1')).trim();
    expect(ip1).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect((await belt('status --wait active=4')).trim().split('\n')[0]?.trim().split(/\s+/)).toEqual(['STATUS', '#NODES', 'NAMES']);
  });

  test('docker on the active machine, which gets its engine first', async () => {
    await belt('active node1');
    expect((await belt('active')).trim()).toBe('swarm2k/node1');
    expect(await belt('docker version')).toMatch(/Server:/);
    expect(await belt('docker swarm init')).toMatch(/Swarm initialized/);
  });

  test('joins: in bulk by belt, and by hand without a token', async () => {
    const joined = (await belt("swarm join node1 'node[3:4]'")).trimEnd().split('\n').sort();
    expect(joined).toEqual(['node3: This node joined a swarm as a worker.', 'node4: This node joined a swarm as a worker.']);
    const byHand = await tried(`--host node2 docker swarm join ${ip1}:2377`);
    expect(byHand).toMatchObject({ code: 0 });
    expect(byHand.stderr).toMatch(/join token of node1/);
    const nodes = await until('four nodes', 60_000, async () => {
      const said = await tried("docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}'");
      const rows = said.stdout.trim().split('\n').map((row) => row.trim()).sort();
      return rows.length === 4 && rows.every((row) => /Ready Active/.test(row)) && rows;
    });
    expect(nodes).toEqual(['node1 Ready Active Leader', 'node2 Ready Active', 'node3 Ready Active', 'node4 Ready Active']);
    const rows = JSON.parse(await belt('swarm nodes --json')) as { name: string; engine: string; dockerId: string | null }[];
    expect(rows.map((row) => [row.name, row.engine, row.dockerId !== null]).sort()).toEqual(['node1', 'node2', 'node3', 'node4'].map((name) => [name, 'docker', true]));
  });

  test('a service, scaled', async () => {
    // No registry here: busybox of this host under the book's name, sent through belt's own docker.
    const image = "mkdir -p i/bin i/www && cp /bin/busybox i/bin/ && ln -sf busybox i/bin/httpd && ln -sf busybox i/bin/sh && echo book > i/www/index.html && tar -C i -cf image.tar .";
    expect((await sh('bash', ['-c', image], { cwd: folder })).code).toBe(0);
    for (const name of ['node1', 'node2', 'node3', 'node4']) await belt(`--host ${name} docker import -c 'CMD ["httpd","-f","-p","80","-h","/www"]' - nginx < image.tar`);
    if (noMesh !== null) console.log(`-p 80:80 becomes mode=host: ${noMesh}`);
    const publish = noMesh === null ? '-p 80:80' : '--publish mode=host,target=80,published=80 --endpoint-mode dnsrr';
    await belt(`docker service create --detach --no-resolve-image --name nginx --replicas 2 ${publish} nginx`);
    await belt('docker service scale --detach nginx=4');
    await until('four tasks run', 90_000, async () => (await tried("docker service ps nginx --filter desired-state=running --format '{{.CurrentState}}'")).stdout.split('\n').filter((line) => /^Running/.test(line)).length === 4);
    const ip2 = (await belt('ip node2')).trim();
    expect(await until('the page', 60_000, async () => (await fetch(`http://${ip2}/`)).text())).toBe('book\n');
  });

  test('exit codes and stdin go through; several machines at once', async () => {
    expect((await tried("docker run --rm -i nginx sh -c 'read x; exit $x'", { input: '42\n' })).code).toBe(42);
    expect((await tried('docker no-such-command')).code).not.toBe(0);
    const many = await belt("--host 'node[1:2]' docker info --format '{{.Name}}'");
    expect(many.trimEnd().split('\n').sort()).toEqual(['node1  node1', 'node2  node2']);
  });

  test('eval $(belt env node1): the plain docker client, and away again', async () => {
    const said = await sh('bash', ['-c', `eval $("${BELT}" env node1) && docker node ls --format '{{.Hostname}}' | sort | tr '\\n' ' ' && eval $("${BELT}" env --unset) && echo "host:$DOCKER_HOST"`], { cwd: folder, env: { ...env, DOCKER_API_VERSION: '1.41' } });
    expect(said.stdout).toBe('node1 node2 node3 node4 host:\n');
  });

  test('the cluster’s own lines', async () => {
    const [head, row] = (await belt('cluster ls')).trimEnd().split('\n').map((line) => line.trim().split(/\s{2,}/));
    expect(head).toEqual(['CLUSTER', 'ACTIVE', 'LEADER', 'MASTERS', '#NODES']);
    expect(row).toEqual(['swarm2k', 'node1', 'node1', 'node1', '4 / 4']);
    await belt('use swarm2k');
    await belt('cluster update region=sgp1');
    expect(await belt('cluster config')).toMatch(/sgp1/);
    await belt('cluster rm --yes swarm2k');
    expect(await belt('cluster rm --yes swarm2k')).toBe('swarm2k: already gone\n');
  });
});
