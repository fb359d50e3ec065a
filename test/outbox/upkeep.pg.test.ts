import { expect, test } from 'vitest'
import { keepDays } from '../../src/outbox/days/upkeep.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

/** How many days old the records of the audit are that one run of `keepDays` leaves. */
async function auditAfter(auditDays: number | null, runsBehindByDays = 0): Promise<number[]> {
  await using at = await openTestOutbox()
  const { pool } = at.outbox
  await pool.query(`
    insert into walhook.audit (at, actor_kind, actor, action)
    select now() - n * interval '1 day', 'walhook', 'walhook', 'session.refused' from unnest(array[0, 29, 31, 90, 400]) n`)
  await pool.query(
    `insert into walhook.retention_clock (reached_at) values (now() - $1 * interval '1 day')
     on conflict (is_only) do update set reached_at = excluded.reached_at`,
    [runsBehindByDays],
  )
  const once = new AbortController()
  const clock = {
    nowMs: () => Date.now(),
    async adjust() {
      once.abort()
      return 0
    },
  }
  const keep = { logDays: 30, eventsDays: 30, auditDays }
  await keepDays(at.outbox, { clock, keep, log: silentLog }, once.signal)
  const { rows } = await pool.query(
    `select round(extract(epoch from now() - at) / 86400)::int as days from walhook.audit order by at desc`,
  )
  return rows.map(({ days }) => days)
}

test('audit records are deleted after their retention time', async () => {
  expect(await auditAfter(30)).toEqual([0, 29])
})

test('without a limit, audit records are kept forever', async () => {
  expect(await auditAfter(null)).toEqual([0, 29, 31, 90, 400])
})

test("a jump of the database's clock does not delete the audit", async () => {
  expect(await auditAfter(30, 60)).toEqual([0, 29, 31])
})
