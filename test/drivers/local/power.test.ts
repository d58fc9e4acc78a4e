import { expect, test } from 'vitest';
import { noteOf, statusOf } from '../../../drivers/local/power.ts';

test.each([
  ['on', true, 'active'],
  ['on', false, 'error'],
  ['off', false, 'off'],
  ['paused', true, 'unknown'],
  ['paused', false, 'error'],
] as const)('%s, listens %s: %s', (power, listens, status) => expect(statusOf({ power }, listens)).toBe(status));

test.each([
  ['on', true, 'start', 'already on'],
  ['on', false, 'start', undefined],
  ['paused', true, 'start', undefined],
  ['off', false, 'start', undefined],
  ['off', false, 'stop', 'already off'],
  ['off', false, 'kill', 'already off'],
  ['on', true, 'kill', undefined],
  ['paused', true, 'stop', undefined],
  ['on', true, 'reboot', undefined],
  ['paused', true, 'pause', 'already paused'],
  ['off', false, 'pause', 'is off'],
  ['on', true, 'unpause', 'is not paused'],
  ['paused', true, 'unpause', undefined],
] as const)('%s, listens %s, asked to %s: %s', (power, listens, action, note) => expect(noteOf({ power }, listens, action)).toBe(note));
