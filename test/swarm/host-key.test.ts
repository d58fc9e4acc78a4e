/** A machine that shows another host key than the pinned one is not spoken to, by any command that goes over SSH, until the operator says so. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { LocalCluster } from '../faults/local-cluster.ts';

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await LocalCluster.form({ topology: '1/1', workers: 0 });
});
afterAll(() => cluster.close());

it('a changed host key is refused with both keys, and accepted only when it is asked for', { timeout: 60_000 }, async () => {
  await cluster.must('stop', 'mg0', '--force');
  rmSync(join(cluster.node('mg0').root, '..', 'ssh_host_ed25519_key'));
  await cluster.must('start', 'mg0');
  const refusal = /^belt: mg0 shows host key ssh-ed25519 SHA256:\S+, pinned is ssh-ed25519 SHA256:\S+\nnext: somebody may be listening in; if mg0 was rebuilt, forget the old key with: belt bootstrap --accept-new-host-key mg0/m;
  for (const [line, code] of [[['exec', 'mg0', '--', 'true'], 255], [['ssh', 'mg0', 'true'], 255], [['bootstrap', 'mg0'], 1], [['bootstrap', 'mg0', '--dry-run', '--accept-new-host-key'], 1], [['certs', 'renew', 'mg0'], 1]] as const) {
    expect([line, await cluster.belt(...line)]).toEqual([line, { code, stdout: '', stderr: expect.stringMatching(refusal) as string }]);
  }
  expect(await cluster.must('bootstrap', 'mg0', '--accept-new-host-key')).toMatch(/mg0: nothing to do/);
  expect((await cluster.belt('exec', 'mg0', '--', 'true')).code).toBe(0);
});
