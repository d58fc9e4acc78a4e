import { describe, expect, test } from 'vitest';
import type { SealedText } from '../../../src/swarm-agent/store/records.ts';
import { createSealer, newSealingKey } from '../../../src/swarm-agent/store/sealer.ts';

const sealer = createSealer(newSealingKey());
const secret = 'SWMTKN-1-geheim-ß';

describe('sealed secrets', () => {
  test('open with the same key and purpose, and do not show what they hold', () => {
    const sealed = sealer.seal('token/worker', secret);
    expect(sealer.open('token/worker', sealed)).toBe(secret);
    expect(sealed).not.toContain('geheim');
    expect(Buffer.from(sealed.split('.')[2]!, 'base64url').includes('geheim')).toBe(false);
    expect(sealer.seal('token/worker', secret)).not.toBe(sealed);
  });

  const sealed = sealer.seal('token/worker', secret);
  const flipped = `${sealed.slice(0, -3)}${sealed.at(-3) === 'A' ? 'B' : 'A'}${sealed.slice(-2)}`;
  test.each([
    { name: 'for another purpose', open: () => sealer.open('token/manager', sealed) },
    { name: 'with another key', open: () => createSealer(newSealingKey()).open('token/worker', sealed) },
    { name: 'when changed', open: () => sealer.open('token/worker', flipped as SealedText) },
    { name: 'when cut short', open: () => sealer.open('token/worker', sealed.slice(0, 30) as SealedText) },
    { name: 'when not sealed at all', open: () => sealer.open('token/worker', secret as SealedText) },
  ])('do not open $name, and the error does not tell the secret', ({ open }) => {
    expect(open).toThrow(expect.objectContaining({ code: 'failed', message: expect.not.stringContaining('geheim') }));
  });

  test('want a key of 256 bits', () => {
    expect(() => createSealer(Buffer.alloc(16))).toThrow('32 bytes');
  });
});
