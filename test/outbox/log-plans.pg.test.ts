import { expect, test } from 'vitest'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { readDeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import { append } from '../../src/outbox/log/append.ts'
import { readLog, readLogFor } from '../../src/outbox/log/log.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'
import { keepStatistics } from '../support/statistics.ts'

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
    const id = await at.webhook(['user.new', 'user.update'])
    for (let i = 0; i < 200; i++) await at.webhook(['company.new'])
    await at.fill(1)
    await keepStatistics(at)
    if (before) await pool.query(before)
    const acme = await at.webhook(['user.new', 'user.delete'], true, { tenant: 'acme' })
    await at.append('user 1 new acme', 'user 2 update bravo acme')
    const { first } = await at.fill(events)
    await at.append('user 3 new acme')
    if (after) await pool.query(after)

    await using queue = openOutbox({
      url: at.database.url,
      maxConnections: 1,
      onError() {},
      plans: 'by index',
    })
    const { outbox, rows } = countRows(queue)
    const shares = Array.from({ length: 12 }, (_, share) => share)
    for (const place of [0n, first + BigInt(events / 2)]) {
      expect((await readLog(outbox, { after: place, limit: 100, maxBytes: 1e9 })).events.length).toBe(100)
      const page = await readLogFor(outbox, {
        webhookId: id,
        tenant: null,
        shares,
        after: place,
        scan: 100,
        limit: 100,
        maxBytes: 1e9,
      })
      expect(page.events.length).toBe(100)
    }
    const ofTenant = {
      webhookId: acme,
      tenant: 'acme',
      shares,
      after: 0n,
      scan: 100,
      limit: 100,
      maxBytes: 1e9,
    }
    expect((await readLogFor(outbox, ofTenant)).events.length).toBe(3)
    await readDeliverySettings(outbox, {
      sinceVersion: 201,
      ids: new Set(Array.from({ length: 202 }, (_, i) => i + 1)),
    })
    await append(outbox.pool, at.nextAppend('user 1 new'))
    expect(rows.size).toBe(5)
    expect([...rows].filter(([, count]) => count > 2_500)).toEqual([])
  },
)
