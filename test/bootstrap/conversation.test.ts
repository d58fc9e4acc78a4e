import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';

import { Conversation } from '../../src/bootstrap/conversation.ts';

it('ends with a machine that has more to say than a bootstrap has, heard or not', async () => {
  const stdout = new PassThrough();
  let hungUp = false;
  const conversation = new Conversation('node1', { stdin: new PassThrough(), stdout, stderr: new PassThrough(), close: () => (hungUp = true) });
  for (let line = 0; line < 20_000; line += 1) stdout.write('belt: note and so on\n');
  await expect(conversation.until(['done'], 60_000, new AbortController().signal)).rejects.toMatchObject({ code: 'remote_command', message: 'node1 says more than 10000 things in one bootstrap' });
  expect(hungUp).toBe(true);
});
