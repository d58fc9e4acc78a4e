/** Plain machines become a swarm: bootstrap installs everything, three managers over three datacenters and two workers, docker through 2376. */
import { once } from 'node:events';
import { connect } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { asOneSession } from './one-session.ts';
import { noMesh, skipReason, until } from './stage.ts';
import { TestCluster } from './swarm-kit.ts';

const ALL = ['m0', 'm1', 'm2', 'w0', 'w1'];

describe.skipIf(skipReason !== null)('3/3 with two workers from plain machines', () => {
  const cluster = new TestCluster();
  const docker = cluster.docker.bind(cluster);

  asOneSession();
  beforeAll(() => cluster.create([['m0', 'x'], ['m1', 'y'], ['m2', 'z'], ['w0', 'x'], ['w1', 'y']]));
  afterAll(() => cluster.close());

  test('bootstrap installs engine, runtime and agent on each; a second run changes nothing', async () => {
    const started = Date.now();
    const first = await cluster.bootstrap();
    expect(first.map((outcome) => (outcome.ok ? `${outcome.name} ok` : `${outcome.name}: ${outcome.error.message}`))).toEqual(ALL.map((name) => `${name} ok`));
    console.log(`five machines bootstrapped in ${Date.now() - started} ms`);
    const second = await cluster.bootstrap();
    expect(second.map((outcome) => outcome.ok && outcome.value.planned)).toEqual(ALL.map(() => []));
  });

  test('the agents’ roles are Docker’s, and the nodes are labelled with where they stand', async () => {
    const started = Date.now();
    await cluster.init('m0');
    await cluster.join('m0', 'manager', ['m1', 'm2']);
    await cluster.join('m0', 'worker', ['w0', 'w1']);
    console.log(`joined after ${Date.now() - started} ms`);
    await cluster.formed('m0', 3, 5);
    console.log(`formed after ${Date.now() - started} ms`);
    const labels = await docker('m0', ['node', 'inspect', '--format', '{{index .Spec.Labels "belt.datacenter"}}', ...ALL]);
    expect(labels.stdout.trim().split('\n')).toEqual(['docker:x', 'docker:y', 'docker:z', 'docker:x', 'docker:y']);
  });

  test('a service runs where its constraint says, and answers', async () => {
    await cluster.loadImage(ALL, ['nginx']);
    if (noMesh !== null) console.log(noMesh);
    const made = await docker('m0', [
      'service', 'create', '--detach', '--no-resolve-image', '--endpoint-mode', 'dnsrr', '--name', 'web', '--mode', 'global', '--constraint', 'node.labels.belt.datacenter==docker:y',
      '--publish', 'mode=host,target=80,published=8080', 'nginx',
    ]);
    expect(made.stderr).toBe('');
    const nodes = await until('two tasks run', 90_000, async () => {
      const said = await docker('m0', ['service', 'ps', 'web', '--format', '{{.Node}} {{.CurrentState}}']);
      const running = said.stdout.split('\n').filter((line) => / Running/.test(line)).map((line) => line.split(' ')[0]).sort();
      return running.length === 2 && running;
    });
    expect(nodes).toEqual(['m1', 'w1']);
    const page = await until('the page', 60_000, async () => (await fetch(`http://${cluster.machine('w1').publicIpv4!}:8080/`)).text());
    expect(page).toBe('hello from busybox\n');
  });

  describe('port 2376', () => {
    beforeAll(async () => {
      const said = await docker('m0', ['run', '-d', '--name', 'box', 'nginx', 'sh', '-c', 'while true; do echo tick; sleep 1; done']);
      expect(said.stderr).toBe('');
    });

    test.each([
      ['no certificate', null], ['a worker’s', 'worker'], ['a manager’s', 'manager'], ['a machine’s', 'machine'], ['another cluster’s operator', 'stranger'],
    ])('%s is refused with the reason', async (_name, who) => {
      const identity = who === null ? null : who === 'stranger' ? cluster.identity('operator', 'alice', cluster.stranger) : cluster.identity(who as 'worker', 'somebody');
      const said = await docker('m0', ['ps'], identity);
      expect(said.code).not.toBe(0);
      expect(said.stderr).toMatch(who === null || who === 'stranger' ? /certificate/ : /may not use the engine/);
    });

    test('exec with a terminal: what the other side sees is one, keys go in, the code comes back', async () => {
      // script(1) gives the docker client a terminal to stand on.
      const said = await cluster.dockerOnTerminal('m0', 'exec -it box sh -c "tty && exit 7"');
      expect(said.stdout).toContain('/dev/pts/');
      expect(said.code).toBe(7);
    });

    test('exec -i: stdin to its end, then the answer', async () => {
      const said = await docker('m0', ['exec', '-i', 'box', 'wc', '-c'], undefined, { input: 'x'.repeat(300_000) });
      expect(said.stdout.trim()).toBe('300000');
    });

    test('logs -f and events stream while things happen', async () => {
      // From a moment ago on, so that an event before the stream stands is heard too.
      const since = String(Math.floor(Date.now() / 1000));
      const events = cluster.dockerProcess('m0', ['events', '--since', since, '--filter', 'type=container', '--format', '{{.Action}} {{.Actor.Attributes.name}}']);
      const logs = cluster.dockerProcess('m0', ['logs', '-f', '--tail', '1', 'box']);
      await until('two ticks', 60_000, () => Promise.resolve(logs.text().split('tick').length > 3));
      await docker('m0', ['run', '--rm', '--name', 'brief', 'nginx', 'true']);
      await until('the event', 60_000, () => Promise.resolve(/start brief/.test(events.text())));
      await Promise.all([events.stop(), logs.stop()]);
    });

    test('build', async () => {
      const said = await docker('m0', ['build', '-t', 'built', '-'], undefined, { input: 'FROM nginx\nRUN echo made > /made\nCMD cat /made\n', legacyBuild: true });
      expect(`${said.stdout}${said.stderr}`).toMatch(/Successfully tagged built|naming to/);
      expect((await docker('m0', ['run', '--rm', 'built'])).stdout).toBe('made\n');
    });

    test('a client that does not read holds nobody else', async () => {
      await docker('m0', ['run', '-d', '--name', 'flood', 'nginx', 'yes', 'x'.repeat(200)]);
      const machine = cluster.machine('m0');
      const slow = connect({ host: machine.publicIpv4!, port: 2376, key: cluster.operator.key, cert: cluster.operator.cert, ca: cluster.authority.certificate, checkServerIdentity: () => undefined });
      await once(slow, 'secureConnect');
      slow.pause();
      slow.write('GET /v1.41/containers/flood/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: docker\r\n\r\n');
      const started = Date.now();
      for (let call = 0; call < 10; call += 1) expect((await docker('m0', ['version'])).code).toBe(0);
      console.log(`ten calls beside a stalled one: ${Date.now() - started} ms`);
      slow.destroy();
      await docker('m0', ['rm', '-f', 'flood']);
    });
  });

  test('a machine is rebooted: engine, agent and their places in both planes come back by themselves', async () => {
    await cluster.driver.power([cluster.machine('m2').id], 'reboot', AbortSignal.timeout(60_000));
    // Asked of the machine itself: the others take a moment to see that it was away.
    await until('its own agent, engine and place among the managers', 120_000, async () => (await cluster.nodeRows('m2')).length === 5);
    await cluster.formed('m0', 3, 5, 120_000);
    await until('the agent', 60_000, async () => (await cluster.client.cluster([cluster.agent('m0')], 'cluster.nodes', {})).nodes.every((node) => node.status === 'ready'));
  });
});
