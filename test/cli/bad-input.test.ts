/** Wrong command lines, ranges and configurations: each with all that it prints and what it exits with. Nothing is made by any of them. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

import { DRIVERS } from '../../drivers/registry.ts';
import { type Stage, stage } from './line.ts';

/** What a line printed, with what differs from run to run or grows with the project put aside. */
function told(on: Stage, stderr: string): string {
  return stderr.trimEnd().replaceAll(on.folder, '<here>').replaceAll(Object.keys(DRIVERS).join(', '), '<drivers>');
}

/** What names of machines get in a folder without a cluster. */
const NOBODY = 'belt: nobody has made cluster default here: there is no <here>/.belt/default\nnext: cd to the folder with your .belt, or belt create SIZE RANGE';

describe('wrong command lines', () => {
  it.each<[string[], number, string]>([
    [['crate'], 2, 'belt: there is no command \'crate\'; did you mean \'create\'?\nnext: belt create'],
    [['clust'], 2, 'belt: there is no command \'clust\'\nnext: belt --help'],
    [['cluster'], 2, 'belt: belt cluster wants a second word\nnext: belt cluster --help'],
    [['cluster', 'lst'], 2, 'belt: there is no command \'cluster lst\'; did you mean \'cluster ls\'?\nnext: belt cluster ls'],
    [['cluster', '--json'], 2, 'belt: belt cluster wants a second word\nnext: belt cluster --help'],
    [['--frobnicate'], 2, 'belt: there is no flag \'--frobnicate\' without a command\nnext: belt --help'],
    [['ls', '--frobnicate'], 2, 'belt: there is no flag \'--frobnicate\'\nnext: belt ls [RANGE…]'],
    [['ls', '--jsn'], 2, 'belt: there is no flag \'--jsn\'; did you mean \'--json\'?\nnext: belt ls [RANGE…]'],
    [['ls', '-x'], 2, 'belt: there is no flag \'-x\'\nnext: belt ls [RANGE…]'],
    [['create'], 2, 'belt: SIZE is missing\nnext: belt create SIZE RANGE…'],
    [['create', '512mb'], 2, 'belt: RANGE is missing\nnext: belt create SIZE RANGE…'],
    [['create', '512mb', ''], 2, 'belt: bad range at column 1: a range is empty\n  \n  ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '', 'node1'], 2, 'belt: SIZE is empty\nnext: belt create SIZE RANGE…'],
    [['create', '0mb', 'node1'], 2, 'belt: a machine of 0mb does not exist\nnext: write a size such as 512mb, 8192MB or 16gb, or a type of the cloud'],
    [['create', '99999999gb', 'node1'], 2, 'belt: a machine of 99999999gb does not exist\nnext: write a size such as 512mb, 8192MB or 16gb, or a type of the cloud'],
    [['create', '512mb', 'node[1:'], 2, 'belt: bad range at column 5: "[" is not closed\n  node[1:\n      ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', 'node[3:1]'], 2, 'belt: bad range at column 6: 3:1 is reversed\n  node[3:1]\n       ^\nnext: 1:3'],
    [['create', '512mb', 'node[]'], 2, 'belt: bad range at column 5: the brackets are empty\n  node[]\n      ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', 'node[1:20000]'], 2, 'belt: bad range at column 1: more than 10,000 names\n  node[1:20000]\n  ^\nnext: use several smaller ranges'],
    [['create', '512mb', 'node[a:b]'], 2, 'belt: bad range at column 6: "a" is not a number\n  node[a:b]\n       ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', 'Node1'], 2, 'belt: bad range at column 1: "N": names are lower case\n  Node1\n  ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', '-node'], 2, 'belt: there is no flag \'-n\'\nnext: belt create SIZE RANGE…'],
    [['create', '512mb', 'no_de'], 2, 'belt: bad range at column 3: "_" cannot stand in a name: letters, digits and "-" only\n  no_de\n    ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', 'node]'], 2, 'belt: bad range at column 5: "]" without "["\n  node]\n      ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', 'node[1,,2]'], 2, 'belt: bad range at column 8: a number is missing\n  node[1,,2]\n         ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', 'a,,b'], 2, 'belt: bad range at column 3: a name is missing\n  a,,b\n    ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', 'x'.repeat(64)], 2, `belt: bad range at column 1: "xxxxxxxxxxxxxxxxxxxx…" is longer than 63 characters\n  ${'x'.repeat(64)}\n  ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes`],
    [['create', '512mb', 'node[1:[2:3]]'], 2, 'belt: bad range at column 8: "[" is not a number\n  node[1:[2:3]]\n         ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '512mb', 'node[1:3', 'x'], 2, 'belt: bad range at column 5: "[" is not closed\n  node[1:3\n      ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['create', '64gb', 'node1'], 1, 'belt: no type in local has 65536 MB of memory; the largest has 16384 MB\nnext: belt sizes'],
    [['create', '512mb', 'node1', '--region', ''], 2, 'belt: --region wants a value\nnext: belt create SIZE RANGE…'],
    [['create', '512mb', 'node1', '--region', 'a,,b'], 2, 'belt: --region: \'\' is no region\nnext: write --region sgp1,nyc3 or --region us-east-1/us-east-1a'],
    [['create', '512mb', 'node1', '--region', 'a b'], 2, 'belt: --region: \'a b\' is no region\nnext: write --region sgp1,nyc3 or --region us-east-1/us-east-1a'],
    [['create', '512mb', 'node1', '--region', 'a', '--region', 'b'], 2, 'belt: --region is given more than once\nnext: belt create SIZE RANGE…'],
    [['create', '512mb', 'node1', '--region'], 2, 'belt: --region wants a value\nnext: belt create SIZE RANGE…'],
    [['create', '512mb', 'node1', '--timeout', 'soon'], 2, 'belt: --timeout soon is no span of time\nnext: write --timeout 90s, 10m or 1h (a day at most)'],
    [['create', '512mb', 'node1', '--timeout', '0'], 2, 'belt: --timeout 0 is no span of time\nnext: write --timeout 90s, 10m or 1h (a day at most)'],
    [['create', '512mb', 'node1', '--timeout', '2d'], 2, 'belt: --timeout 2d is no span of time\nnext: write --timeout 90s, 10m or 1h (a day at most)'],
    [['create', '512mb', 'node1', '--timeout', '-1s'], 2, 'belt: --timeout -1s is no span of time\nnext: write --timeout 90s, 10m or 1h (a day at most)'],
    [['create', '512mb', 'node1', '--timeout', '25h'], 2, 'belt: --timeout 25h is no span of time\nnext: write --timeout 90s, 10m or 1h (a day at most)'],
    [['create', '512mb', 'mg[0:4]', '--topology', '5'], 2, 'belt: bad topology "5": the number of datacenters is missing\nnext: 5/1, 5/3 or a layout such as 2+2+1'],
    [['create', '512mb', 'mg[0:4]', '--topology', '3/5'], 2, 'belt: bad topology "3/5": 3 managers cannot stand in 5 datacenters\nnext: give at least 5 managers, or at most 3 datacenters'],
    [['create', '512mb', 'mg[0:4]', '--topology', '0/0'], 2, 'belt: bad topology "0/0": at least one manager is needed\nnext: write managers/datacenters such as 5/3, or a layout such as 2+2+1'],
    [['create', '512mb', 'mg[0:4]', '--topology', 'x'], 2, 'belt: bad topology "x": it is not a topology\nnext: write managers/datacenters such as 5/3, or a layout such as 2+2+1'],
    [['create', '512mb', 'mg[0:3]', '--topology', '5/3', '--region', 'a,b,c'], 2, 'belt: 5/3 places 5 machines, the range names 4\nnext: name as many machines as the topology has managers'],
    [['create', '512mb', 'mg[0:4]', '--topology', '5/3', '--region', 'a,b'], 2, 'belt: 5/3 spreads over 3 datacenters, 2 given\nnext: name 3, or choose another topology'],
    [['ls', 'node9'], 1, NOBODY],
    [['ls', 'node['], 2, 'belt: bad range at column 5: "[" is not closed\n  node[\n      ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['status', '--wait', '3'], 2, 'belt: --wait 3 is not STATUS=N\nnext: write --wait active=3 (or off, error, unknown)'],
    [['status', '--wait', 'active'], 2, 'belt: --wait active is not STATUS=N\nnext: write --wait active=3 (or off, error, unknown)'],
    [['status', '--wait', 'new=3'], 2, 'belt: --wait new=3 is not STATUS=N\nnext: write --wait active=3 (or off, error, unknown)'],
    [['status', '--wait', 'ready=3'], 2, 'belt: --wait ready=3 is not STATUS=N\nnext: write --wait active=3 (or off, error, unknown)'],
    [['status', '--wait', 'active=-1'], 2, 'belt: --wait active=-1 is not STATUS=N\nnext: write --wait active=3 (or off, error, unknown)'],
    [['status', '--wait'], 2, 'belt: --wait wants a value\nnext: belt status [RANGE…]'],
    [['status', 'node9'], 1, NOBODY],
    [['ip'], 2, 'belt: RANGE is missing\nnext: belt ip RANGE…'],
    [['ip', 'node9'], 1, NOBODY],
    [['active', 'node9'], 1, NOBODY],
    [['active'], 1, 'belt: no machine of cluster default is active\nnext: belt active NAME'],
    [['active', 'a', 'b'], 2, 'belt: \'b\' is one word too many for belt active\nnext: belt active [NAME]'],
    [['active', 'node[1:2]'], 2, 'belt: \'node[1:2]\' names 2 machines; one is active at a time\nnext: belt active NAME'],
    [['start'], 2, 'belt: RANGE is missing\nnext: belt start RANGE…'],
    [['stop'], 2, 'belt: RANGE is missing\nnext: belt stop RANGE…'],
    [['kill'], 2, 'belt: RANGE is missing\nnext: belt kill RANGE…'],
    [['pause'], 2, 'belt: RANGE is missing\nnext: belt pause RANGE…'],
    [['rm'], 2, 'belt: RANGE is missing\nnext: belt rm RANGE…'],
    [['start', 'node9'], 1, NOBODY],
    [['stop', 'node9'], 1, NOBODY],
    [['kill', 'node9'], 1, NOBODY],
    [['pause', 'node9'], 1, NOBODY],
    [['rm', 'node['], 2, 'belt: bad range at column 5: "[" is not closed\n  node[\n      ^\nnext: write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes'],
    [['resize'], 2, 'belt: RANGE is missing\nnext: belt resize RANGE… SIZE'],
    [['resize', 'node1'], 2, 'belt: SIZE is missing\nnext: belt resize RANGE… SIZE'],
    [['resize', 'node9', '1gb'], 1, NOBODY],
    [['ssh'], 2, 'belt: NAME is missing\nnext: belt ssh NAME [COMMAND…]'],
    [['ssh', 'node[1:2]'], 2, 'belt: \'node[1:2]\' names 2 machines; ssh goes to one\nnext: belt exec \'node[1:2]\' -- COMMAND'],
    [['ssh', 'node9'], 1, NOBODY],
    [['exec'], 2, 'belt: RANGE is missing\nnext: belt exec RANGE… -- COMMAND'],
    [['exec', 'node1'], 2, 'belt: COMMAND is missing\nnext: belt exec \'node[1:4]\' -- COMMAND'],
    [['exec', 'node1', 'uptime'], 2, 'belt: COMMAND is missing\nnext: belt exec \'node[1:4]\' -- COMMAND'],
    [['exec', 'node1', '--'], 2, 'belt: COMMAND is missing\nnext: belt exec \'node[1:4]\' -- COMMAND'],
    [['exec', 'node9', '--', 'uptime'], 1, NOBODY],
    [['exec', 'node1', '--concurrency', '0', '--', 'x'], 2, 'belt: --concurrency 0 is not 1 to 1000\nnext: leave it out for 50'],
    [['exec', 'node1', '--concurrency', 'x', '--', 'x'], 2, 'belt: --concurrency wants a number\nnext: belt exec RANGE… -- COMMAND'],
    [['cp'], 2, 'belt: SOURCE is missing\nnext: belt cp SOURCE TARGET'],
    [['cp', 'a'], 2, 'belt: TARGET is missing\nnext: belt cp SOURCE TARGET'],
    [['cp', 'a', 'b'], 2, 'belt: one side is a machine, the other a file here\nnext: belt cp FILE \'RANGE:PATH\', or belt cp NAME:PATH FILE'],
    [['cp', 'node1:/a', 'node2:/b'], 2, 'belt: one side is a machine, the other a file here\nnext: belt cp FILE \'RANGE:PATH\', or belt cp NAME:PATH FILE'],
    [['cp', 'absent', 'node1:/x'], 2, 'belt: there is no file absent'],
    [['cp', 'node[1:2]:/a', 'b'], 2, 'belt: \'node[1:2]\' names 2 machines; a file comes from one\nnext: belt cp NAME:PATH FILE'],
    [['sizes', '64gb'], 1, 'belt: no type has 65536 MB of memory; the largest has 16384 MB\nnext: belt sizes'],
    [['sizes', 'foo'], 2, 'belt: local offers no size "foo"\nnext: belt sizes, or memory such as 512mb or 8gb'],
    [['--host', 'mg0', 'stop', 'node1'], 2, 'belt: --host is for docker lines: belt --host RANGE docker …\nnext: belt stop RANGE…'],
    [['env', '--shell', 'foo'], 2, 'belt: --shell foo: must be one of bash, fish, powershell\nnext: belt env [NAME]'],
    [['certs', 'operator', '--out', 'x'], 2, 'belt: --out is for the files of another operator\nnext: belt certs operator NAME --out FOLDER'],
    [['certs', 'operator'], 1, NOBODY],
    [['swarm', 'rebuild', '--yes'], 1, NOBODY],
    [['swarm', 'init', 'mg0'], 1, NOBODY],
    [['swarm', 'status'], 1, NOBODY],
    [['sizes', '1', '2'], 2, 'belt: \'2\' is one word too many for belt sizes\nnext: belt sizes [SIZE]'],
    [['doctor', 'now'], 1, 'belt: nothing of the name or id now is amiss\nnext: belt doctor'],
    [['cluster', 'new'], 2, 'belt: NAME is missing\nnext: belt cluster new NAME'],
    [['cluster', 'new', 'Big'], 2, 'belt: \'Big\' cannot be a cluster\'s name\nnext: use up to 40 lower-case letters, digits and "-", with a letter or digit at both ends'],
    [['cluster', 'new', 'a/b'], 2, 'belt: \'a/b\' cannot be a cluster\'s name\nnext: use up to 40 lower-case letters, digits and "-", with a letter or digit at both ends'],
    [['cluster', 'new', '..'], 2, 'belt: \'..\' cannot be a cluster\'s name\nnext: use up to 40 lower-case letters, digits and "-", with a letter or digit at both ends'],
    [['cluster', 'new', 'x', '--define', 'regoin=a'], 2, 'belt: regoin=a: there is no key \'regoin\'\nnext: correct it; .belt.yml.example shows every key'],
    [['cluster', 'new', 'x', '--define', 'nonsense'], 2, 'belt: \'nonsense\' is no KEY=VALUE\nnext: write, for example, region=sgp1'],
    [['cluster', 'new', 'x', '--define', 'driver=gce'], 2, 'belt: driver=gce: there is no driver \'gce\'; there are <drivers>\nnext: correct it; .belt.yml.example shows every key'],
    [['cluster', 'new', 'x', '--define', 'concurrency=many', '--define', 'ssh_user=A B'], 2, 'belt: 2 mistakes in the configuration:\n  concurrency=many: must be number, not "many"\n  ssh_user=A B: must be a user name such as root\nnext: correct it; .belt.yml.example shows every key'],
    [['cluster', 'new', 'x', '-d', 'gce'], 2, 'belt: there is no driver \'gce\'\nnext: name one of <drivers>'],
    [['cluster', 'use'], 2, 'belt: NAME is missing\nnext: belt cluster use NAME'],
    [['cluster', 'use', 'nowhere'], 1, 'belt: there is no cluster \'nowhere\' under <here>/.belt\nnext: belt cluster ls, or belt cluster new NAME'],
    [['use', 'nowhere'], 1, 'belt: there is no cluster \'nowhere\' under <here>/.belt\nnext: belt cluster ls, or belt cluster new NAME'],
    [['cluster', 'update'], 2, 'belt: KEY=VALUE is missing\nnext: belt cluster update KEY=VALUE…'],
    [['cluster', 'update', 'region'], 2, 'belt: \'region\' is no KEY=VALUE\nnext: write, for example, region=sgp1'],
    [['cluster', 'update', '=x'], 2, 'belt: \'=x\' is no KEY=VALUE\nnext: write, for example, region=sgp1'],
    [['cluster', 'update', 'ec2.nonsense=1'], 2, 'belt: ec2.nonsense=1: there is no key \'ec2.nonsense\'\nnext: correct it; .belt.yml.example shows every key'],
    [['cluster', 'update', 'ec2.disk_gb=tiny'], 2, 'belt: ec2.disk_gb=tiny: must be number, not "tiny"\nnext: correct it; .belt.yml.example shows every key'],
    [['cluster', 'update', 'local.ssh_port=80'], 2, 'belt: local.ssh_port=80: must be >=1024, not 80\nnext: correct it; .belt.yml.example shows every key'],
    [['cluster', 'rm'], 2, 'belt: NAME is missing\nnext: belt cluster rm NAME'],
    [['cluster', 'rm', 'Big'], 2, 'belt: \'Big\' cannot be a cluster\'s name\nnext: use up to 40 lower-case letters, digits and "-", with a letter or digit at both ends'],
    [['ls', '--cluster', 'nowhere'], 1, 'belt: there is no cluster \'nowhere\' under <here>/.belt\nnext: belt cluster ls, or belt cluster new NAME'],
    [['ls', '--cluster', ''], 2, 'belt: --cluster wants a value\nnext: belt ls [RANGE…]'],
    [['ls', '-d', 'gce'], 2, 'belt: there is no driver \'gce\'\nnext: name one of <drivers>'],
    [['--cluster', 'nowhere', 'create', '512mb', 'node1'], 1, 'belt: there is no cluster \'nowhere\' under <here>/.belt\nnext: belt cluster ls, or belt cluster new NAME'],
    [['topology'], 2, 'belt: SPEC is missing\nnext: belt topology SPEC'],
    [['topology', '4/5'], 2, 'belt: bad topology "4/5": 4 managers cannot stand in 5 datacenters\nnext: give at least 5 managers, or at most 4 datacenters'],
    [['topology', '5(3'], 2, 'belt: bad topology "5(3": it is not a topology\nnext: write managers/datacenters such as 5/3, or a layout such as 2+2+1'],
    [['topology', '2+x'], 2, 'belt: bad topology "2+x": it is not a topology\nnext: write managers/datacenters such as 5/3, or a layout such as 2+2+1'],
    [['topology', '5/3', '--datacenters', 'a,b'], 2, 'belt: 5/3 spreads over 3 datacenters, 2 given\nnext: name 3, or choose another topology'],
    [['topology', '100/3'], 2, 'belt: bad topology "100/3": more than 99 managers\nnext: Swarm slows down with more than 7'],
    [['completion'], 2, 'belt: SHELL is missing\nnext: belt completion SHELL'],
    [['completion', 'tcsh'], 2, 'belt: there is no completion for \'tcsh\'\nnext: belt completion bash|zsh|fish'],
    [['use', 'a', 'b'], 2, 'belt: \'b\' is one word too many for belt use\nnext: belt use NAME'],
    [['ls', '--json', '--json=maybe'], 2, 'belt: --json takes no value\nnext: belt ls [RANGE…]'],
  ])('belt %j: exit %i', async (words, exit, stderr) => {
    using on = stage();
    const result = await on.belt(...words);
    expect([result.exit, told(on, result.stderr), result.stdout]).toEqual([exit, stderr, '']);
    expect(on.cloud.names()).toEqual([]);
  });
});

describe('wrong configurations', () => {
  it.each<[string, Record<string, string>, string[], number, string]>([
    ['regoin: a\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:1: regoin: there is no such key; did you mean region?\nnext: correct it; .belt.yml.example shows every key'],
    ['region: 3\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:1: region: must be string, not 3\nnext: correct it; .belt.yml.example shows every key'],
    ['- a\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:1: must be keys with values, such as driver: local\nnext: correct it; .belt.yml.example shows every key'],
    ['driver: local\ndriver: docker\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:2: Map keys must be unique\nnext: correct it; .belt.yml.example shows every key'],
    ['a: [\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:2: Flow sequence in block collection must be sufficiently indented and end with a ]\nnext: correct it; .belt.yml.example shows every key'],
    ['local: x\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:1: local: must be a block of keys\nnext: correct it; .belt.yml.example shows every key'],
    ['local:\n  ssh_port: 80\n  nonsense: 1\nec2:\n  disk_gb: big\nssh_user: A B\n', {}, ['cluster', 'config'], 2, 'belt: 4 mistakes in the configuration:\n  .belt.yml:2: local.ssh_port: must be >=1024, not 80\n  .belt.yml:3: local.nonsense: there is no such key\n  .belt.yml:5: ec2.disk_gb: must be number, not "big"\n  .belt.yml:6: ssh_user: must be a user name such as root\nnext: correct it; .belt.yml.example shows every key'],
    ['concurrency: 0\n', {}, ['create', '512mb', 'node1'], 2, 'belt: .belt.yml:1: concurrency: must be 1 to 1000\nnext: correct it; .belt.yml.example shows every key'],
    ['certificate_lifetime: 60s\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:1: certificate_lifetime: must be 1h to 90d, such as 12h or 30d\nnext: correct it; .belt.yml.example shows every key'],
    ['raft: [electionMsMin]\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:1: raft.0: must be NAME=NUMBER such as electionMsMin=300\nnext: correct it; .belt.yml.example shows every key'],
    ['raft: [electionMsMin=10, nonsense=1]\n', {}, ['bootstrap', 'node1'], 2, 'belt: Raft settings: electionMsMin is 10, want a whole number from 20 to 60000; nonsense is not a setting of Raft; electionMsMin is below twice heartbeatMsMin\nnext: correct the key raft of the configuration, then belt bootstrap the managers'],
    ['', { BELT_CERTIFICATE_LIFETIME: '91d' }, ['cluster', 'config'], 2, 'belt: $BELT_CERTIFICATE_LIFETIME: certificate_lifetime: must be 1h to 90d, such as 12h or 30d\nnext: correct it; .belt.yml.example shows every key'],
    ['', { BELT_DRIVER: 'gce' }, ['cluster', 'config'], 2, 'belt: $BELT_DRIVER: there is no driver \'gce\'; there are <drivers>\nnext: correct it; .belt.yml.example shows every key'],
    ['', { BELT_CONCURRENCY: 'x', BELT_LOCAL_SSH_PORT: '99999', AWS_REGION: 'mars' }, ['cluster', 'config'], 2, 'belt: 3 mistakes in the configuration:\n  $BELT_LOCAL_SSH_PORT: ssh_port: must be <=65535, not 99999\n  $AWS_REGION: region: must be a region such as eu-west-1\n  $BELT_CONCURRENCY: concurrency: must be number, not "x"\nnext: correct it; .belt.yml.example shows every key'],
    ['', { BELT_CLUSTER: 'nowhere' }, ['ls'], 1, 'belt: there is no cluster \'nowhere\' under <here>/.belt\nnext: belt cluster ls, or belt cluster new NAME'],
    ['', { BELT_CLUSTER: 'No Way' }, ['ls'], 2, 'belt: \'No Way\' cannot be a cluster\'s name\nnext: use up to 40 lower-case letters, digits and "-", with a letter or digit at both ends'],
    ['region: "a b"\n', {}, ['create', '512mb', 'node1'], 2, 'belt: .belt.yml:1: region: must be regions such as sgp1 or sgp1,nyc3\nnext: correct it; .belt.yml.example shows every key'],
    ['ec2:\n  region: mars\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:2: ec2.region: must be a region such as eu-west-1\nnext: correct it; .belt.yml.example shows every key'],
    ['digitalocean:\n  tokn: x\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:2: digitalocean.tokn: there is no such key; did you mean token?\nnext: correct it; .belt.yml.example shows every key'],
    ['ssh_keys: [nonsense]\n', {}, ['cluster', 'config'], 2, 'belt: .belt.yml:1: ssh_keys.0: must be an OpenSSH public key line\nnext: correct it; .belt.yml.example shows every key'],
  ])('%j and %j: belt %j', async (file, env, words, exit, stderr) => {
    using on = stage();
    if (file !== '') writeFileSync(path.join(on.folder, '.belt.yml'), file);
    Object.assign(on.env, env);
    const result = await on.belt(...words);
    expect([result.exit, told(on, result.stderr), result.stdout]).toEqual([exit, stderr, '']);
    expect(on.cloud.names()).toEqual([]);
  });

  it('both spellings of the file are one too many', async () => {
    using on = stage();
    for (const name of ['.belt.yml', '.belt.yaml']) writeFileSync(path.join(on.folder, name), '');
    expect(told(on, (await on.belt('ls')).stderr)).toBe('belt: <here> has both .belt.yml and .belt.yaml\nnext: keep one of them');
  });
});
