import { expect, test } from 'vitest'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { readDeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import { append } from '../../src/outbox/log/append.ts'
import { readLog, readLogFor } from '../../src/outbox/log/log.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'

const events = 20_000
const ages = {
  'never analyzed': ['', ''],
  'analyzed while empty': ['delete from walhook.events; analyze', ''],
  'analyzed with one row': ['analyze', ''],
  'analyzed as it is': ['', 'analyze'],
  'said to be unknown': [
    '',
    `analyze; update pg_class set reltuples = -1, relpages = 0 where relnamespace = 'walhook'::regnamespace`,
  ],
} as const

/** With statistics of any age, a page of the log is read by the key: as many rows as it has, wherever in the log it is. */
test.each(Object.entries(ages))(
  'a page of the log reads no more than a page: %s',
  async (_, [before, after]) => {
    await using at = await openTestOutbox()
    const { pool } = at.outbox
    const id = await at.webhook(['user.new'])
    for (let i = 0; i < 200; i++) await at.webhook(['company.new'])
    await at.fill(1)
    const { rows: days } = await pool.query(
      `select inhrelid::regclass::text as day from pg_inherits where inhparent = 'walhook.events'::regclass`,
    )
    for (const { day } of days) await pool.query(`alter table ${day} set (autovacuum_enabled = off)`)
    if (before) await pool.query(before)
    const { first } = await at.fill(events)
    if (after) await pool.query(after)

    await using queue = openOutbox({
      url: at.database.url,
      maxConnections: 1,
      onError() {},
      plans: 'by index',
    })
    const { outbox, rows } = countRows(queue)
    for (const place of [0n, first + BigInt(events / 2)]) {
      expect((await readLog(outbox, { after: place, limit: 100, maxBytes: 1e9 })).events.length).toBe(100)
      const shares = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
      const page = await readLogFor(outbox, {
        webhookId: id,
        shares,
        after: place,
        scan: 100,
        limit: 100,
        maxBytes: 1e9,
      })
      expect(page.events.length).toBe(100)
    }
    await readDeliverySettings(outbox, {
      sinceVersion: 200,
      ids: new Set(Array.from({ length: 201 }, (_, i) => i + 1)),
    })
    await append(outbox.pool, at.nextAppend('user 1 new'))
    expect(rows.size).toBe(4)
    expect([...rows].filter(([, count]) => count > 2_500)).toEqual([])
  },
)
