import { expect, test } from 'vitest'
import { check } from '../../src/delivery/stream/checking.ts'
import { openMachine } from '../../src/delivery/stream/machine.ts'
import { tasksOf } from '../../src/delivery/stream/queue.ts'
import { setSettings } from '../../src/delivery/stream/settings.ts'
import { acquire, takeMain } from '../../src/delivery/stream/streams.ts'
import { blocked } from '../../src/delivery/stream/tasks.ts'
import type { Outbox } from '../../src/outbox/database/database.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import type { LogEvent } from '../../src/outbox/log/log.ts'

const state = { version: 1, isActive: true, triggers: ['user.update'], updateFields: null }
const settings = {
  ...{ id: 7, tenant: null, mode: 'every', batch: null, withPrevious: false, isActive: true },
  ...{ heldInMs: null, previousSecretEndsInMs: null, states: [state], skips: [] },
} as unknown as DeliverySettings
const event = {
  ...{ id: 10n, share: 3, entityType: 'user', entityId: '1', actionType: 'update', body: '{}' },
  ...{ changed: null, webhooksVersion: 1, onlyWebhookId: null, tenant: null, tenantBefore: null },
} as unknown as LogEvent

test('a check that failed because the database was away is repeated', async () => {
  let isAway = true
  const pool = {
    async query() {
      if (isAway) throw new Error('the database is away')
      return { rows: [{ capacity: [], without: [7] }] }
    },
  }
  const machine = openMachine(() => 0)
  const by = { outbox: { pool } as unknown as Outbox, holderId: 1, machine, fenced() {} }
  setSettings(machine, { version: 1, webhooks: [settings], gone: [] })
  acquire(machine, [{ share: 3, settledUpTo: 0n }], [])
  const queue = machine.queues.get(7)!
  blocked(queue)
  takeMain(machine, { after: 0n, events: [event], upTo: 100n }, 100)

  await expect(check(by)).rejects.toThrow('the database is away')
  isAway = false
  expect(machine.toCheck).toHaveLength(1)
  await check(by)
  expect([...tasksOf(queue)].map(task => task.state)).toEqual(['ready'])
})
