/** A user's session with machines of the docker driver: lines of belt in a folder of their own, and what the plain docker client shows of it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect } from 'vitest';

import type { ClusterTag } from '../../src/provision/driver.ts';
import { sh, until, type Said } from './stage.ts';

const BELT = fileURLToPath(new URL('../../bin/belt', import.meta.url));
const MINUTES = 60_000;

/** A row of `belt swarm nodes --json`, as far as drills look at it. */
export interface Node {
  readonly name: string;
  readonly role: string;
  readonly status: string;
  readonly managerStatus: string | null;
  readonly dockerId: string | null;
}

export class Session {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'belt-session-'));
  readonly env: NodeJS.ProcessEnv = { ...process.env, HOME: this.folder, SHELL: '/bin/bash', DOCKER_API_VERSION: '1.41' };
  readonly cluster: string;

  constructor(cluster: string) {
    this.cluster = cluster;
  }

  /** A line of shell in the session's folder. */
  shell(line: string, input?: string): Promise<Said> {
    return sh('bash', ['-c', line], { cwd: this.folder, timeoutMs: 18 * MINUTES, env: this.env, ...(input === undefined ? {} : { input }) });
  }

  /** A line of belt, whatever comes of it. */
  tried(line: string, input?: string): Promise<Said> {
    return this.shell(`"${BELT}" ${line}`, input);
  }

  /** A line of belt that must work; it is shown with what it said and how long it took. */
  async belt(line: string): Promise<string> {
    const started = Date.now();
    const said = await this.tried(line);
    console.log(`$ belt ${line}   (${((Date.now() - started) / 1000).toFixed(1)} s)\n${said.stdout}${said.stderr}`.trimEnd());
    expect(said.code, said.stderr).toBe(0);
    return said.stdout;
  }

  /** A line of shell on a machine, which must work. */
  async on(machine: string, line: string): Promise<string> {
    const said = await this.tried(`exec ${machine} -- sh -c '${line.replaceAll("'", "'\\''")}'`);
    expect(said.code, `${machine}: ${line}\n${said.stderr}`).toBe(0);
    return said.stdout;
  }

  async nodes(): Promise<Node[]> {
    return JSON.parse((await this.tried('swarm nodes --json')).stdout) as Node[];
  }

  /** The cluster as the driver knows it. */
  get tag(): ClusterTag {
    const { body } = JSON.parse(readFileSync(path.join(this.folder, '.belt', this.cluster, 'state.json'), 'utf8')) as { body: { cluster: { id: string } } };
    return { cluster: this.cluster, clusterId: body.cluster.id };
  }

  /** A line of the plain docker client, pointed at a machine by `belt env`. Rejects with what it said. */
  async docker(by: string, line: string): Promise<string> {
    const said = await this.shell(`eval $("${BELT}" env ${by}) && timeout 20 docker ${line}`);
    if (said.code !== 0) throw new Error(said.stderr);
    return said.stdout;
  }

  /** `docker node ls` through `belt env` of a manager. */
  async dockerNodes(by: string): Promise<string[]> {
    const rows = await this.docker(by, "node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}'");
    return rows.trim().split('\n').map((row) => row.trim()).sort();
  }

  /** Waits until Docker shows so many managers, so many ready nodes and no others. */
  async shown(by: string, managers: number, ready: number, ms = 3 * MINUTES): Promise<string[]> {
    let rows: string[] = [];
    try {
      return await until(`${managers} managers, ${ready} ready in Docker`, ms, async () => {
        rows = await this.dockerNodes(by);
        return rows.length === ready && rows.every((row) => / Ready Active/.test(row)) && rows.filter((row) => / (Leader|Reachable)$/.test(row)).length === managers && rows;
      });
    } catch (error) {
      console.log(rows.join('\n'), (await this.tried('swarm status')).stderr);
      throw error;
    }
  }

  async timed<T>(what: string, act: () => Promise<T>): Promise<T> {
    const started = Date.now();
    const result = await act();
    console.log(`${what}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return result;
  }

  async close(): Promise<void> {
    await this.tried(`cluster rm --yes ${this.cluster}`);
    rmSync(this.folder, { recursive: true });
  }
}
