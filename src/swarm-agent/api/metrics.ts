/** The agent's figures in the Prometheus text format. */
import type { Agent } from '../agent.ts';

/** All gauges, one line each with its help; absent where the role has none. */
export function metricsText(agent: Agent): string {
  const { identity, manager, session, ports } = agent;
  const raft = manager?.view();
  const memory = process.memoryUsage();
  const figures: Array<readonly [name: string, help: string, value: number | undefined | null]> = [
    ['belt_agent_up_seconds', 'Seconds since the agent started.', (ports.clock.now() - agent.startedAt) / 1000],
    ['belt_agent_resident_bytes', 'Memory of the agent process.', memory.rss],
    ['belt_certificate_expires_seconds', 'Seconds until the certificate runs out.', (identity.certificate.notAfter - ports.clock.now()) / 1000],
    ['belt_session_open', 'Whether the worker holds a session.', session === null ? null : session.current() === null ? 0 : 1],
    ['belt_sessions', 'Sessions of workers to this leader.', manager?.sessionCount],
    ['belt_raft_leader', 'Whether this manager leads.', raft === undefined ? null : raft.state === 'leader' ? 1 : 0],
    ['belt_raft_term', 'Raft term.', raft?.term],
    ['belt_raft_epoch', 'How often the managers were reformed.', raft?.epoch],
    ['belt_raft_commit_index', 'Last committed entry.', raft?.commitIndex],
    ['belt_raft_applied_index', 'Last applied entry.', raft?.appliedIndex],
    ['belt_raft_log_bytes', 'Bytes of the Raft log on disk.', raft?.logBytes],
  ];
  return figures.flatMap(([name, help, value]) => (value == null ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${value}`])).join('\n').concat('\n');
}
