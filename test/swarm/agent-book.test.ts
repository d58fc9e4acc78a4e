import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';

import { AgentBook } from '../../src/swarm/agent-book.ts';

it('keeps what another command has learned since the book was read', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-book-'));
  try {
    const file = path.join(folder, 'agents.json');
    const [status, bootstrap] = [new AgentBook(file), new AgentBook(file)];
    bootstrap.learnAgents([{ machine: 'mg0', key: 'f00d', expires: null }]);
    status.learnManagers([{ name: 'mg0', id: '1', address: 'mg0:2378' }], 'mg0');
    expect(new AgentBook(file)).toMatchObject({ bootstrapped: ['mg0'], leader: 'mg0' });
    bootstrap.forget(['mg0']);
    expect(new AgentBook(file)).toMatchObject({ bootstrapped: [], managers: [{ name: 'mg0' }] });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
