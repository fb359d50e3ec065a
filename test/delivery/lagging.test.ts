import { expect, test } from 'vitest'
import { openMachine } from '../../src/delivery/stream/machine.ts'
import { ask, takeIn } from '../../src/delivery/stream/read.ts'
import { noteHead, openReader } from '../../src/delivery/stream/reader.ts'
import { setSettings } from '../../src/delivery/stream/settings.ts'
import { acquire } from '../../src/delivery/stream/streams.ts'
import { createTail } from '../../src/delivery/stream/tail.ts'
import { due } from '../../src/delivery/stream/tasks.ts'
import type { Outbox } from '../../src/outbox/database/database.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'

const settings = (id: number) =>
  ({
    ...{
      id,
      tenant: 'acme',
      url: 'https://crm.example.com/',
      mode: 'every',
      batch: null,
      withPrevious: false,
    },
    ...{ isActive: true, heldInMs: null, previousSecretEndsInMs: null, states: [], skips: [] },
  }) as unknown as DeliverySettings

test('lagging webhooks are read one after another: the end of a read starts the next', async () => {
  let nowMs = 1_000
  const machine = openMachine(() => nowMs)
  const webhooks = Array.from({ length: 50 }, (_, i) => settings(i + 1))
  setSettings(machine, { version: 1, webhooks, gone: [] })
  const own = webhooks.map(({ id }) => ({ webhookId: id, share: 0, settledUpTo: 0n, maySendUpTo: 0n }))
  acquire(machine, [{ share: 0, settledUpTo: 1_000n }], own)
  const asked: { webhookId: number; end: () => void }[] = []
  const pool = {
    async query({ name, values }: { name: string; values: unknown[] }) {
      const told = { scanned_up_to: 1_000n, wanted: 0n, fitting: 0n, id: null }
      if (name !== 'read_log_for_tenant') return { rows: [] }
      const { promise, resolve } = Promise.withResolvers<void>()
      asked.push({ webhookId: values[0] as number, end: resolve })
      await promise
      return { rows: [told] }
    },
  }
  let wakes = 0
  const reader = openReader({
    ...{
      outbox: { pool } as unknown as Outbox,
      holderId: 1,
      machine,
      tail: createTail(),
      clockMs: () => nowMs,
    },
    ...{ freeCapacity: () => 1, isDelivering: () => false, send() {}, fenced() {}, failed() {} },
    wake: () => wakes++,
  })
  noteHead(reader, 1_000n)
  reader.wanted.head = false
  takeIn(reader)
  const dueMs = ask(reader)
  expect(asked.map(({ webhookId }) => webhookId)).toEqual([1, 2, 3])
  // Not at the next heartbeat only.
  expect(dueMs - nowMs).toBeLessThan(100)
  for (let n = 3; n < 50; n++) {
    const before = wakes
    asked[n - 3]!.end()
    while (wakes === before) await new Promise(setImmediate)
    takeIn(reader)
    expect(reader.isOwnTurn).toBe(false)
    ask(reader)
    expect(asked.length).toBe(n + 1)
  }
  expect(new Set(asked.map(({ webhookId }) => webhookId)).size).toBe(50)
  // All are read.
  for (const { end } of asked) end()
  await new Promise(setImmediate)
  nowMs += 1_000
  takeIn(reader)
  expect(ask(reader)).toBe(Number.POSITIVE_INFINITY)
  expect(asked.length).toBe(50)
})

test('rows are picked in turns for two failing and three delivering webhooks at once', async () => {
  const machine = openMachine(() => 1_000)
  const webhooks = Array.from({ length: 50 }, (_, i) => settings(i + 1))
  setSettings(machine, { version: 1, webhooks, gone: [] })
  acquire(machine, [{ share: 0, settledUpTo: 1_000n }], [])
  const picks: { webhookId: number; end: () => void }[] = []
  const client = {
    async query(statement: { name?: string; values?: unknown[] }) {
      if (statement.name === 'standing') return { rows: [{ shares: [0], webhooks_version: 1 }] }
      if (statement.name === 'next_due') return { rows: [{ due_in_ms: 0 }] }
      if (statement.name !== 'take_due') return { rows: [] }
      const { promise, resolve } = Promise.withResolvers<void>()
      picks.push({ webhookId: statement.values![1] as number, end: resolve })
      await promise
      return { rows: [] }
    },
    release() {},
  }
  const pool = { connect: async () => client, query: async () => ({ rows: [] }) }
  let wakes = 0
  const reader = openReader({
    ...{ outbox: { pool } as unknown as Outbox, holderId: 1, machine, tail: createTail() },
    ...{
      clockMs: () => 1_000,
      freeCapacity: () => 1,
      isDelivering: ({ id }) => id > 47,
      send() {},
      fenced() {},
    },
    failed: error => expect.fail(String(error)),
    wake: () => wakes++,
  })
  for (const queue of machine.queues.values()) due(machine, queue, 1_000)
  ask(reader)
  const untilPicked = async (count: number) => {
    while (picks.length < count) await new Promise(setImmediate)
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
    expect(picks.length).toBe(count)
  }
  await untilPicked(5)
  expect(picks.map(({ webhookId }) => webhookId)).toEqual([1, 2, 48, 49, 50])
  const end = async (pick: (typeof picks)[number]) => {
    const before = wakes
    pick.end()
    while (wakes === before) await new Promise(setImmediate)
    // It has more that is due.
    due(machine, machine.queues.get(pick.webhookId)!, 1_000)
    ask(reader)
  }
  for (let n = 3; n <= 47; n++) {
    await end(picks.find(({ webhookId }) => webhookId === n - 2)!)
    await untilPicked(n + 3)
  }
  expect(picks.slice(5).map(({ webhookId }) => webhookId)).toEqual(
    Array.from({ length: 45 }, (_, i) => i + 3),
  )
  // One that delivers is picked for again at once.
  await end(picks[2]!)
  await untilPicked(51)
  expect(picks.at(-1)!.webhookId).toBe(48)
})
