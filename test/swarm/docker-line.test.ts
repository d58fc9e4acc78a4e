import { describe, expect, test } from 'vitest';

import { hostOf, missingAdvertise, readSwarmLine, remoteDocker, withFlag } from '../../src/swarm/docker-line.ts';

const words = (line: string): string[] => line.split(' ');

describe('a docker line', () => {
  test.each([
    'ps', 'version', 'service create --name swarm nginx', 'run swarm join', 'swarm', 'swarm ps', 'swarm join --help', 'swarm update', '--help', '-H tcp://x swarm', 'node ls',
  ])('%j is nothing belt reads', (line) => {
    expect(readSwarmLine(words(line))).toBeNull();
  });

  test.each([
    ['swarm init', 'init', 1, null], ['swarm join 10.0.0.1:2377', 'join', 1, '10.0.0.1:2377'], ['-D --log-level debug swarm join --token T 10.0.0.1', 'join', 4, '10.0.0.1'],
    ['swarm join --token=T --availability drain 10.0.0.1:2377', 'join', 1, '10.0.0.1:2377'], ['swarm join', 'join', 1, null], ['swarm leave --force', 'leave', 1, null],
  ])('%j', (line, verb, at, manager) => {
    expect(readSwarmLine(words(line))).toMatchObject({ verb, at, manager });
  });

  test.each([
    ['swarm join --token T a', true], ['swarm join --token=T a', true], ['swarm join a', false],
  ])('%j has a token: %s', (line, has) => {
    expect(readSwarmLine(words(line))?.flags.has('--token')).toBe(has);
  });

  test.each([
    ['swarm init', '1.2.3.4', '10.0.0.4', '10.0.0.4'], ['swarm init', '1.2.3.4', '1.2.3.4', null], ['swarm init', '1.2.3.4', null, null], ['swarm init --advertise-addr eth0', '1.2.3.4', '10.0.0.4', null],
    ['swarm join x', '1.2.3.4', '10.0.0.4', '10.0.0.4'], ['swarm leave', '1.2.3.4', '10.0.0.4', null],
  ])('%j with %s and %s advertises %s', (text, publicIpv4, privateIpv4, wanted) => {
    const line = readSwarmLine(words(text));
    expect(line === null ? undefined : missingAdvertise(line, { publicIpv4, privateIpv4 })).toBe(wanted);
  });

  test('a flag stands right after the verb', () => {
    const line = words('-D swarm init --force-new-cluster');
    const read = readSwarmLine(line);
    expect(read === null ? null : withFlag(line, read, '--advertise-addr', '10.0.0.4').join(' ')).toBe('-D swarm init --advertise-addr 10.0.0.4 --force-new-cluster');
  });

  test('words stay words over there; the token comes by stdin and stands in no argument of ours', () => {
    expect(remoteDocker(['run', 'a b', '$HOME'], { sudo: false })).toBe("exec docker run 'a b' '$HOME'");
    expect(remoteDocker(words('swarm join 10.0.0.1:2377'), { sudo: true, tokenAt: 1 })).toBe('IFS= read -r token && exec sudo -n docker swarm join --token "$token" 10.0.0.1:2377');
  });

  test.each([['10.0.0.1:2377', '10.0.0.1'], ['node1', 'node1'], ['[fd00::1]:2377', 'fd00::1']])('%s is at %s', (address, host) => {
    expect(hostOf(address)).toBe(host);
  });
});
