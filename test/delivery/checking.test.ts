import { expect, test } from 'vitest'
import { createChecking } from '../../src/delivery/stream/checking.ts'
import { createMachine } from '../../src/delivery/stream/machine.ts'
import { tasksOf } from '../../src/delivery/stream/queue.ts'
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

test('what could not be asked, since the database was away, is asked again', async () => {
  let isAway = true
  const pool = {
    async query() {
      if (isAway) throw new Error('the database is away')
      return { rows: [{ places: [], without: [7] }] }
    },
  }
  const machine = createMachine({ clockMs: () => 0, check: (queue, task) => checking.add(queue, task) })
  const checking = createChecking({
    ...{ outbox: { pool } as unknown as Outbox, holderId: 1, machine },
    ...{ readUpToOf: () => () => 0n, fenced() {} },
  })
  machine.setSettings({ version: 1, webhooks: [settings], gone: [] })
  machine.acquire([{ share: 3, settledUpTo: 0n }], [])
  const queue = machine.queues.get(7)!
  machine.blocked(queue)
  machine.takeMain({ after: 0n, events: [event], upTo: 100n }, 100)

  await expect(checking.check()).rejects.toThrow('the database is away')
  isAway = false
  expect(checking.isWanted()).toBe(true)
  await checking.check()
  expect([...tasksOf(queue)].map(task => task.state)).toEqual(['ready'])
})
