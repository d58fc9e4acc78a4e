/** Lines out of a byte stream, for conversations with a script on a machine. */
import { BeltError } from '../errors.ts';

/**
 * Yields each line without its end (`\n` or `\r\n`), the last one also when its end is missing. What a machine sends is not
 * trusted: a line longer than `maxLineBytes` throws `remote_command`.
 */
export async function* readLines(stream: AsyncIterable<Buffer>, maxLineBytes = 1024 * 1024): AsyncGenerator<string, void, void> {
  let pending: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      pending.push(chunk.subarray(start, end));
      yield textOf(pending, maxLineBytes);
      pending = [];
      size = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    pending.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > maxLineBytes) throw tooLong(maxLineBytes);
  }
  if (size > 0) yield textOf(pending, maxLineBytes);
}

function textOf(parts: readonly Buffer[], maxLineBytes: number): string {
  const line = Buffer.concat(parts);
  if (line.length > maxLineBytes) throw tooLong(maxLineBytes);
  const text = line.toString('utf8');
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}

function tooLong(maxLineBytes: number): BeltError {
  return new BeltError('remote_command', `the machine sent a line longer than ${maxLineBytes} bytes`);
}
