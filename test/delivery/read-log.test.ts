import { expect, test } from 'vitest'
import { openMachine } from '../../src/delivery/stream/machine.ts'
import { tasksOf } from '../../src/delivery/stream/queue.ts'
import { ask, takeIn } from '../../src/delivery/stream/read.ts'
import { noteHead, openReader } from '../../src/delivery/stream/reader.ts'
import { setSettings } from '../../src/delivery/stream/settings.ts'
import { acquire, mainReadUpTo } from '../../src/delivery/stream/streams.ts'
import { createTail } from '../../src/delivery/stream/tail.ts'
import type { Outbox } from '../../src/outbox/database/database.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import type { LogEvent } from '../../src/outbox/log/log.ts'

const state = { version: 1, isActive: true, triggers: ['user.new'], updateFields: null }
const settings = {
  ...{
    id: 7,
    tenant: null,
    url: 'https://crm.example.com/',
    mode: 'every',
    batch: null,
    withPrevious: false,
  },
  ...{ isActive: true, heldInMs: null, previousSecretEndsInMs: null, states: [state], skips: [] },
} as unknown as DeliverySettings
const body = 'x'.repeat(1_500_000)
const event = (id: bigint): LogEvent => ({
  ...{ id, share: 3, entityType: 'user', entityId: String(id), actionType: 'new', body },
  ...{ previous: null, changed: null, omitted: null, webhooksVersion: 1, onlyWebhookId: null },
  ...{ tenant: null, tenantBefore: null },
})

/** A process that serves share 3, read up to 0, with one webhook, and the ids after which it has read pages of the log. */
function open() {
  const machine = openMachine(() => 0)
  setSettings(machine, { version: 1, webhooks: [settings], gone: [] })
  acquire(machine, [{ share: 3, settledUpTo: 0n }], [])
  const stored: LogEvent[] = []
  const pages: bigint[] = []
  const pool = {
    async query({ name, values: [after] }: { name: string; values: bigint[] }) {
      if (name !== 'read_log') return { rows: [] }
      pages.push(after!)
      const next = stored.find(({ id }) => id > after!)
      const row = next && {
        ...{ ...next, entity_type: 'user', entity_id: next.entityId, action_type: 'new' },
        ...{ webhooks_version: 1, only_webhook_id: null, tenant_before: null },
      }
      return { rows: row ? [row] : [] }
    },
  }
  const tail = createTail()
  let woken = Promise.withResolvers<void>()
  const reader = openReader({
    ...{ outbox: { pool } as unknown as Outbox, holderId: 1, machine, tail, clockMs: () => 0 },
    ...{
      freeCapacity: () => 1,
      isDelivering: () => false,
      send() {},
      fenced() {},
      failed: (error: unknown) => woken.reject(error),
    },
    wake: () => woken.resolve(),
  })
  /** Appends an event, as capture in this process does. */
  function append(id: bigint) {
    stored.push(event(id))
    if (!tail.push([event(id)], id - 1n, id)) noteHead(reader, id)
  }
  async function turn() {
    woken = Promise.withResolvers()
    takeIn(reader)
    ask(reader)
    if (reader.asking.running.size > 0) await woken.promise
    takeIn(reader)
  }
  const read = (id = 7) => [...tasksOf(machine.queues.get(id)!)].map(({ delivery }) => delivery.eventId)
  return { machine, reader, append, turn, read, pages }
}

test('a burst is read from memory until that is full, then by pages, and from memory again', async () => {
  const { append, turn, read, pages } = open()
  for (const id of [1n, 2n, 3n, 4n]) append(id)
  await turn()
  expect([read(), pages]).toEqual([[1n, 2n, 3n], [2n]])
  await turn()
  expect([read(), pages]).toEqual([
    [1n, 2n, 3n, 4n],
    [2n, 3n],
  ])
  append(5n)
  await turn()
  expect(read()).toEqual([1n, 2n, 3n, 4n, 5n])
  expect(pages).toEqual([2n, 3n])
})

test('the log is read again from the position of an acquired share', async () => {
  const { machine, append, turn, read, pages } = open()
  for (const id of [1n, 2n]) append(id)
  await turn()
  expect(pages).toEqual([])
  acquire(machine, [{ share: 4, settledUpTo: 0n }], [])
  await turn()
  expect([mainReadUpTo(machine), pages]).toEqual([1n, [0n]])
  await turn()
  expect([mainReadUpTo(machine), read()]).toEqual([2n, [1n, 2n]])
  append(3n)
  await turn()
  expect(read()).toEqual([1n, 2n, 3n])
})

test('an event that thousands of webhooks want does not end the reading of those behind it', () => {
  const { machine, reader, read } = open()
  const ofCompanies = { ...settings, id: 8, states: [{ ...state, triggers: ['company.new'] }] }
  const others = Array.from({ length: 5_000 }, (_, i) => ({ ...settings, id: 100 + i }))
  setSettings(machine, { version: 1, webhooks: [ofCompanies, ...others], gone: [] } as never)
  const small = (id: bigint, entityType: string) => ({ ...event(id), entityType, body: '{}' })
  reader.tail.push([small(1n, 'user'), small(2n, 'company')], 0n, 2n)
  takeIn(reader)
  expect([read(100), read(5_099), read(8)]).toEqual([[1n], [1n], [2n]])
})
