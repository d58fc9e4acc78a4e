import { spawnSync } from 'node:child_process';

import { describe, expect, test } from 'vitest';

import { envLines, shellOf } from '../../src/cli/env-lines.ts';

const VARIABLES = { DOCKER_HOST: 'tcp://10.0.0.1:2376', DOCKER_CERT_PATH: "/home/it's me/.belt/a b/docker" };

describe('belt env', () => {
  test('a shell that reads the lines has the variables, spaces and quotes and all', () => {
    const script = `${envLines('bash', VARIABLES, 'belt env mg0').join('\n')}\nprintf '%s|%s' "$DOCKER_HOST" "$DOCKER_CERT_PATH"`;
    expect(spawnSync('sh', ['-c', script], { encoding: 'utf8' }).stdout).toBe(`${VARIABLES.DOCKER_HOST}|${VARIABLES.DOCKER_CERT_PATH}`);
    const evaluated = spawnSync('sh', ['-c', `eval $(cat); printf '%s' "$DOCKER_HOST"`], { input: envLines('bash', { DOCKER_HOST: 'tcp://1:2' }, 'belt env').join('\n'), encoding: 'utf8' });
    expect(evaluated.stdout).toBe('tcp://1:2');
  });

  test('unset takes them away', () => {
    expect(envLines('bash', { DOCKER_HOST: null }, 'belt env --unset')).toEqual(['unset DOCKER_HOST', '# eval $(belt env --unset)']);
  });

  test.each([
    ['fish', ["set -gx DOCKER_HOST 'tcp://10.0.0.1:2376';", "set -gx DOCKER_CERT_PATH '/home/it\\'s me/.belt/a b/docker';", '# eval (belt env mg0)']],
    ['powershell', ["$Env:DOCKER_HOST = 'tcp://10.0.0.1:2376'", "$Env:DOCKER_CERT_PATH = '/home/it''s me/.belt/a b/docker'", '# & belt env mg0 | Invoke-Expression']],
  ] as const)('%s', (shell, lines) => {
    expect(envLines(shell, VARIABLES, 'belt env mg0')).toEqual(lines);
  });

  test.each([['/usr/bin/fish', 'fish'], ['/bin/zsh', 'bash'], [undefined, 'bash'], ['/opt/fisher', 'bash']])('SHELL=%s speaks %s', (path, shell) => {
    expect(shellOf(path)).toBe(shell);
  });
});
