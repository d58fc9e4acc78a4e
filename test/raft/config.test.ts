import { describe, expect, test } from 'vitest';
import { CONFIG_RANGES, checkConfig } from '../../src/swarm-agent/raft/config.ts';

test('every default is within its range and agrees with the others', () => {
  const config = checkConfig();
  for (const [key, { value }] of Object.entries(CONFIG_RANGES)) expect(config).toHaveProperty(key, value);
});

describe('mistakes are all named at once', () => {
  test.each([
    [{ electionMsMin: 19 }, /electionMsMin is 19, want a whole number from 20/],
    [{ heartbeatMsMin: 100 }, /electionMsMin is below twice heartbeatMsMin/],
    [{ heartbeatMsMax: 5_000 }, /electionMsMax is below twice heartbeatMsMax/],
    [{ electionMsMin: 9_000 }, /electionMsMin is above electionMsMax/],
    [{ trailingEntries: 1.5, readsMax: 0 }, /readsMax is 0.*trailingEntries is 1.5|trailingEntries is 1.5.*readsMax is 0/],
    [{ trailingEntires: 1 } as object, /trailingEntires is not a setting/],
  ])('%j', (given, message) => expect(() => checkConfig(given)).toThrow(message));
});
