import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';

import { BeltError, type Outcome } from '../../src/errors.ts';
import { errorLines, outcomeError } from '../../src/ui/error-text.ts';
import { progressText } from '../../src/ui/progress.ts';
import { layoutTable } from '../../src/ui/table.ts';
import { createUi, type UiOptions } from '../../src/ui/ui.ts';

function screen(options: Partial<UiOptions> = {}) {
  const text = { stdout: '', stderr: '' };
  const to = (name: 'stdout' | 'stderr') => ({ write: (chunk: string | Uint8Array) => void (text[name] += String(chunk)) });
  const ui = createUi({ stdout: to('stdout'), stderr: to('stderr'), stdin: null, json: false, debug: false, yes: false, color: false, ...options });
  return { ui, text };
}

describe('tables', () => {
  it('line up, numbers at the right, no trailing blanks, no empty cells', () => {
    expect(layoutTable([{ heading: 'NAME' }, { heading: 'MEMORY', numeric: true }, { heading: 'IMAGE' }], [['node1', '512', ''], ['a-long-name', '16384', 'debian']])).toEqual([
      'NAME          MEMORY   IMAGE',
      'node1            512   -',
      'a-long-name    16384   debian',
    ]);
  });
});

describe('output', () => {
  it('with --json stdout holds one document and nothing else', () => {
    const { ui, text } = screen({ json: true });
    ui.line('no');
    ui.table([{ heading: 'NO' }], [['no']]);
    ui.report([{ name: 'node1' }], () => ui.line('no'));
    ui.note('a note');
    expect(JSON.parse(text.stdout)).toEqual([{ name: 'node1' }]);
    expect(text.stderr).toBe('a note\n');
  });

  it('shows what a machine or a cloud put into a text, instead of obeying it; only the output of remote commands goes through', () => {
    const { ui, text } = screen();
    const evil = 'up\u001b[2J\u009b31m\rdown\u202e';
    ui.line(evil);
    ui.table([{ heading: 'IMAGE' }, { heading: 'STATUS' }], [['debian\nnode9', 'active']]);
    ui.note(`a\r\n\tb ${evil}`);
    ui.warn(evil);
    ui.error(new BeltError('remote_command', evil, { next: evil }));
    const shown = 'up\\x1b[2J\\x9b31m\\x0ddown\\u202e';
    expect(text.stdout).toBe(`${shown}\nIMAGE             STATUS\ndebian\\x0anode9   active\n`);
    expect(text.stderr).toBe(`a\n\tb ${shown}\nbelt: warning: ${shown}\nbelt: ${shown}\nnext: ${shown}\n`);
    expect(progressText('bootstrap', { done: 0, failed: 0, total: 1, note: 'node1: \u001b]0;x\u0007' }, 0)).toBe('bootstrap: 0/1, 0 s, node1: \\x1b]0;x\\x07');
    ui.raw('stdout', '\u001b[1m');
    expect(text.stdout.endsWith('\u001b[1m')).toBe(true);
  });

  it('colours errors on a terminal only, and not where NO_COLOR is set', () => {
    const stderr = { write: () => undefined, isTTY: true };
    const painted = (color: boolean): string => {
      let text = '';
      screen({ color, stderr: { ...stderr, write: (chunk) => void (text += String(chunk)) } }).ui.error(new BeltError('failed', 'x'));
      return text;
    };
    expect(painted(true)).toBe('\u001b[31mbelt: x\u001b[39m\n');
    expect(painted(false)).toBe('belt: x\n');
  });
});

describe('errors', () => {
  it('tell what failed, where, why and what to type next', () => {
    expect(errorLines(new BeltError('unreachable', 'connection refused', { machine: 'node1', next: 'belt start node1' }), false)).toEqual(['belt: node1: connection refused', 'next: belt start node1']);
    expect(errorLines(new Error('bug'), false)).toEqual(['belt: a fault of belt itself: bug', 'next: run it again with --debug and report what it prints']);
  });

  it('of the system are told as they are: a full disk is no fault of belt', () => {
    expect(errorLines(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }), false)).toEqual(['belt: ENOSPC: no space left on device, write', 'next: make room on the disk; the same command again goes on from here']);
  });

  it('show the stack and the causes with --debug only', () => {
    const error = new BeltError('failed', 'x', { cause: new Error('the cause') });
    expect(errorLines(error, false).join('\n')).not.toContain('the cause');
    expect(errorLines(error, true).join('\n')).toContain('caused by: Error: the cause');
  });

  it.each<[string, boolean[], string | null]>([
    ['all done', [true, true], null], ['one of one', [false], 'driver'], ['some', [true, false], 'partly'], ['none', [false, false], 'failed'],
  ])('of many machines: %s', (_what, oks, code) => {
    const outcomes = oks.map((ok, at): Outcome => (ok ? { name: `n${at}`, ok, value: undefined } : { name: `n${at}`, ok, error: new BeltError('driver', 'no') }));
    expect(outcomeError(outcomes, 'made')?.code ?? null).toBe(code);
  });

  it('names those that Ctrl-C met as one range', () => {
    const outcomes = ['n1', 'n2', 'n3'].map((name, at): Outcome => ({ name, ok: false, error: new BeltError(at === 0 ? 'driver' : 'interrupted', 'no') }));
    expect(outcomeError(outcomes, 'made')?.message).toBe('3 of 3 machines were not made:\n  n1: no\n  interrupted: n[2:3]');
  });
});

describe('confirmation', () => {
  it('is refused on a pipe without --yes, and not asked for with it', async () => {
    await expect(screen().ui.confirm('Destroy?')).rejects.toMatchObject({ code: 'protected', exit: 5 });
    await expect(screen({ yes: true }).ui.confirm('Destroy?')).resolves.toBeUndefined();
  });

  it.each<[string, boolean]>([['y\n', true], ['YES\n', true], ['n\n', false], ['\n', false], ['', false]])('the answer %j on a terminal', async (answer, agreed) => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    stdin.end(answer);
    const { ui } = screen({ stdin: stdin as never, stderr: { write: () => undefined, isTTY: true } });
    const asked = ui.confirm('Destroy?');
    if (agreed) await expect(asked).resolves.toBeUndefined();
    else await expect(asked).rejects.toMatchObject({ code: 'protected' });
  });
});

describe('progress', () => {
  it('says how many are done and failed, how long, and what is waited for', () => {
    expect(progressText('creating', { done: 12, failed: 1, total: 100, note: 'waiting 3 s for the rate limit' }, 4_400)).toBe('creating: 12/100, 1 failed, 4 s, waiting 3 s for the rate limit');
    expect(progressText('listing', { done: 0, failed: 0, total: null, note: '' }, 1_000)).toBe('listing: 1 s');
  });

  it('on a pipe is a line where something has changed, and one a minute where only time goes by', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval', 'performance'] });
    try {
      const { ui, text } = screen();
      const { promise, resolve } = Promise.withResolvers<void>();
      let tell: (event: { done?: number; note?: string }) => void = () => undefined;
      const shown = ui.progress('rotating', 3, (report) => ((tell = report), report({ note: 'waiting for mg2' }), promise));
      await vi.advanceTimersByTimeAsync(121_000);
      tell({ done: 1 });
      await vi.advanceTimersByTimeAsync(20_000);
      resolve();
      await shown;
      expect(text.stderr.trimEnd().split('\n').map((line) => line.replace('rotating: ', ''))).toEqual([
        '0/3, 1 s, waiting for mg2', '0/3, 61 s, waiting for mg2', '0/3, 121 s, waiting for mg2', '1/3, 126 s, waiting for mg2', '1/3, 141 s, waiting for mg2',
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('shows nothing of what is quick, and hands on what is thrown', async () => {
    const { ui, text } = screen();
    expect(await ui.progress('quick', 1, () => Promise.resolve(7))).toBe(7);
    await expect(ui.progress('quick', 1, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(text.stderr).toBe('');
  });
});
