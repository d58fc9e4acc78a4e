/**
 * Loaded before the CLI (`node --import`): counts the moments at which a process touches what outlives it (files, sockets) and ends the process with
 * SIGKILL at moment BELT_DIE_AT, before or after the act, or, for writes, in the middle of it. Without BELT_DIE_AT the count goes to BELT_COUNT_TO.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const dieAt = Number(process.env['BELT_DIE_AT'] ?? Infinity);
const manner = process.env['BELT_DIE_HOW'] ?? 'before';
const countTo = process.env['BELT_COUNT_TO'];
let moments = 0;

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal is delivered before the call returns; this is for the type checker.
  throw new Error('killed');
}

type Act = (this: unknown, ...args: unknown[]) => unknown;

/** `act`, counted; `half` does half of it, where half of it can be done. */
function counted(act: Act, half?: Act): Act {
  return function (this: unknown, ...args: unknown[]): unknown {
    moments += 1;
    if (moments !== dieAt) return act.apply(this, args);
    if (manner === 'middle' && half !== undefined) half.apply(this, args);
    if (manner === 'before' || manner === 'middle') die();
    const result = act.apply(this, args);
    if (result instanceof Promise) return result.then(die);
    return die();
  };
}

function wrap(holder: object, name: string, half?: Act): void {
  const record = holder as Record<string, Act>;
  const act = record[name];
  if (act === undefined) throw new Error(`no ${name} to count`);
  record[name] = counted(act, half);
}

function halfText(content: unknown): unknown {
  return typeof content === 'string' ? content.slice(0, content.length / 2) : content;
}

for (const name of ['renameSync', 'fsyncSync', 'linkSync', 'rmSync', 'mkdirSync', 'openSync']) wrap(fs, name);
const { writeFileSync, writeSync } = fs;
wrap(fs, 'writeFileSync', (file, content) => writeFileSync(file as string, halfText(content) as string));
wrap(fs, 'writeSync', (handle, content) => writeSync(handle as number, halfText(content) as string));
for (const name of ['open', 'rename', 'rm', 'mkdir', 'writeFile']) wrap(fs.promises, name);
const handle = await fs.promises.open('/dev/null', 'r');
const handlePrototype = Object.getPrototypeOf(handle) as Record<string, Act>;
await handle.close();
wrap(handlePrototype, 'writeFile', function (this: unknown, content: unknown) {
  // Synchronously, because the process ends with this call.
  fs.writeSync((this as { fd: number }).fd, halfText(content) as string);
});
wrap(handlePrototype, 'sync');
wrap(net.Socket.prototype, 'write');
wrap(net.Socket.prototype, 'connect');
syncBuiltinESMExports();
moments = 0;
if (countTo !== undefined) process.on('exit', () => writeFileSync(countTo, String(moments)));
