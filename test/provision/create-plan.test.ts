import { describe, expect, it } from 'vitest';

import type { OrderRecord } from '../../src/inventory/state.ts';
import { existingMachines, LIST_LAG_MS, planCreate, settledOrders, type CreateAsk } from '../../src/provision/create-plan.ts';
import type { Machine } from '../../src/provision/driver.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');
const ask = (...names: string[]): CreateAsk => ({ driver: 'ec2', type: 't3.nano', memoryMb: 512, image: null, spot: false, machines: names.map((name) => ({ name, region: 'a', zone: null })) });
const machine = (name: string, fields: Partial<Machine> = {}): Machine => ({
  name, driver: 'ec2', id: `i-${name}`, status: 'active', publicIpv4: null, privateIpv4: null, sshPort: 22, sshUser: 'root', memoryMb: 512, region: 'a', datacenter: 'ec2:a', image: null,
  size: 't3.nano', createdAt: new Date(NOW - 2 * LIST_LAG_MS).toISOString(), tags: {}, ...fields,
});
const order = (id: string, names: string[], fields: Partial<OrderRecord> = {}): OrderRecord => ({
  id, driver: 'ec2', type: 't3.nano', memoryMb: 512, image: null, spot: false, machines: names.map((name) => ({ name, region: 'b', zone: null })), askedAt: new Date(NOW - 1000).toISOString(), ...fields,
});
const plan = (asked: CreateAsk, machines: Machine[], orders: OrderRecord[]) =>
  planCreate(asked, { machines: new Map(machines.map((one) => [one.name, one])), orders, newId: 'new', nowMs: NOW });
const shape = (orders: readonly OrderRecord[]) => orders.map(({ id, machines }) => [id, machines.map(({ name, region }) => `${name}@${region}`)]);

describe('the plan of a create', () => {
  it.each<[string, Machine[], OrderRecord[], string[], unknown]>([
    ['everything is new', [], [], [], [['new', ['n1@a', 'n2@a', 'n3@a']]]],
    ['some are there', [machine('n2')], [], ['n2'], [['new', ['n1@a', 'n3@a']]]],
    ['all are there', [machine('n1'), machine('n2'), machine('n3')], [], ['n1', 'n2', 'n3'], []],
    ['a died order goes on where it was placed', [], [order('old', ['n1', 'n2'])], [], [['old', ['n1@b', 'n2@b']], ['new', ['n3@a']]]],
    ['and in its own order, by which calls were cut', [], [order('old', ['n3', 'n1'])], [], [['old', ['n3@b', 'n1@b']], ['new', ['n2@a']]]],
    ['what it made and nobody has told of is its to tell of', [machine('n1', { tags: { 'belt.order': 'old' } })], [order('old', ['n1', 'n2'])], [], [['old', ['n1@b', 'n2@b']], ['new', ['n3@a']]]],
    ['also where all of it is there', ['n1', 'n2', 'n3'].map((name) => machine(name, { tags: { 'belt.order': 'old' } })), [order('old', ['n2'])], ['n1', 'n3'], [['old', ['n2@b']]]],
    ['a name that another has by now is not ordered again', [machine('n1')], [order('old', ['n1', 'n2', 'n9'])], ['n1'], [['old', ['n2@b']], ['new', ['n3@a']]]],
    ['a died order of another type is not this one', [], [order('old', ['n1'], { type: 't3.large' })], [], [['new', ['n1@a', 'n2@a', 'n3@a']]]],
    ['two died orders of one name: it is made once', [], [order('old', ['n1']), order('older', ['n1', 'n2'])], [], [['old', ['n1@b']], ['older', ['n2@b']], ['new', ['n3@a']]]],
  ])('%s', (_what, machines, orders, existing, expected) => {
    const made = plan(ask('n1', 'n2', 'n3'), machines, orders);
    expect(made.existing.map((one) => one.name)).toEqual(existing);
    expect(shape(made.orders)).toEqual(expected);
  });

  it.each<[string, Machine, string[], string[], boolean]>([
    ['missing from the list and old', machine('n1'), ['ec2'], [], false],
    ['missing from the list and young', machine('n1', { createdAt: new Date(NOW - 1000).toISOString() }), ['ec2'], [], true],
    ['young, but its removal was asked', machine('n1', { createdAt: new Date(NOW - 1000).toISOString() }), ['ec2'], ['n1'], false],
    ['of a place that has not answered', machine('n1'), [], [], true],
  ])('a remembered machine %s', (_what, remembered, swept, removals, exists) => {
    expect(existingMachines([remembered], [], ({ driver }) => swept.includes(driver), new Set(removals), NOW).has('n1')).toBe(exists);
  });

  it('an order is over when nothing is open or it is too old to come', () => {
    const old = new Date(NOW - LIST_LAG_MS - 1).toISOString();
    expect(settledOrders([order('empty', []), order('young', ['n1']), order('old', ['n1'], { askedAt: old })], NOW).map(({ id }) => id)).toEqual(['empty', 'old']);
  });
});
