import { expect, test } from 'vitest'
import { listCells, place } from '../../src/outbox/cells/registry.ts'
import { dropSchema, removeCell } from '../../src/outbox/cells/remove.ts'
import { addTestCell } from '../support/cells.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

test('only an empty cell is removed, and no webhook can be placed there afterwards', async () => {
  await using at = await openTestOutbox()
  await using west = await addTestCell(at, 'west')
  const main = { name: 'main', outbox: at.outbox }
  const { pool } = at.outbox
  const id = await at.webhook(['user.new'])

  await place(pool, { webhookId: id, tenant: null, cell: 'main', movingTo: 'west' })
  expect(await removeCell(main, west)).toEqual({ ok: false, why: 'moves', webhookIds: [id] })
  await place(pool, { webhookId: id, tenant: null, cell: 'main', movingTo: null })
  await west.outbox.pool.query(
    `insert into walhook.webhooks overriding system value select r.* from jsonb_populate_record(null::walhook.webhooks, $1) r`,
    [(await pool.query('select to_jsonb(w) as json from walhook.webhooks w')).rows[0].json],
  )
  expect(await removeCell(main, west)).toMatchObject({ ok: false, why: 'webhooks', webhooks: [{ id }] })
  await west.outbox.pool.query('delete from walhook.webhooks')

  // Whoever places a webhook there at the same time comes before or after.
  const placing = await pool.connect()
  await placing.query('begin')
  await place(placing, { webhookId: id, tenant: null, cell: 'west', movingTo: null })
  const removing = removeCell(main, west)
  const waits = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  await until(async () => (await pool.query(waits)).rows.length === 1, { what: 'the removal to wait' })
  await west.outbox.pool.query(
    `insert into walhook.webhooks overriding system value select r.* from jsonb_populate_record(null::walhook.webhooks, $1) r`,
    [(await pool.query('select to_jsonb(w) as json from walhook.webhooks w')).rows[0].json],
  )
  await placing.query('commit')
  placing.release()
  expect(await removing).toMatchObject({ ok: false, why: 'webhooks' })
  await west.outbox.pool.query('delete from walhook.webhooks')

  // A placement without a webhook, as a creation leaves it that failed.
  expect(await removeCell(main, west)).toEqual({ ok: true })
  expect(await listCells(at.outbox)).toEqual([])
  expect((await pool.query('select * from walhook.placements')).rows).toEqual([])
  expect(await removeCell(main, west)).toEqual({ ok: false, why: 'no cell' })
  await expect(place(pool, { webhookId: id, tenant: null, cell: 'west', movingTo: null })).rejects.toThrow(
    'no cell west',
  )
  await dropSchema(west)
  const { rows } = await pool.query(`select 1 from pg_namespace where nspname = 'walhook_west'`)
  expect(rows).toEqual([])
})
