import { expect, test } from 'vitest'
import { createRecoveries } from '../../src/delivery/turn/recoveries.ts'
import type { Outbox } from '../../src/outbox/database/database.ts'
import { silentLog } from '../../src/runtime/log.ts'

test('webhooks that recover together get their retries, two at a time', async () => {
  const asked: { webhookId: number; end: () => void }[] = []
  const pool = {
    async query({ name, values }: { name: string; values: unknown[] }) {
      if (name === 'bring_rows_forward') {
        const { promise, resolve } = Promise.withResolvers<void>()
        asked.push({ webhookId: values[0] as number, end: resolve })
        await promise
      }
      return { rows: [{ moved: 1, seen: 1, last_due_at: new Date() }] }
    },
  }
  const due = new Set<number>()
  const { recovered } = createRecoveries({
    outbox: { pool } as unknown as Outbox,
    early: { count: 3, longestMs: 1_000 },
    log: silentLog,
    onDue: id => void due.add(id),
  })
  for (let id = 1; id <= 20; id++) recovered(id)
  recovered(1)
  for (let n = 0; n < 20; n++) {
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
    expect(asked.length).toBe(Math.min(20, n + 2))
    asked[n]!.end()
  }
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  expect([asked.length, due.size]).toEqual([20, 20])
  // One that recovers later begins at once.
  recovered(7)
  expect(asked.length).toBe(21)
})
