import { expect, test } from 'vitest'
import { firstIdAt } from '../../src/domain/value/time-id.ts'
import { readCellPosition, readToCopy, storeCopied } from '../../src/outbox/cells/copy-log.ts'
import { listCells, noteCopied, place } from '../../src/outbox/cells/registry.ts'
import { settleSetBack } from '../../src/outbox/cells/set-back.ts'
import { dayMs } from '../../src/outbox/days/partitions.ts'
import { listOpenGaps } from '../../src/outbox/source/gaps.ts'
import { addTestCell } from '../support/cells.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

test('a cell restored to an earlier state copies from main again, and dropped days are a gap', async () => {
  await using at = await openTestOutbox()
  await using west = await addTestCell(at, 'west')
  const main = { name: 'main', outbox: at.outbox }
  const [first, , third] = await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const position = await readCellPosition(west.outbox)
  await storeCopied(
    west.outbox,
    position,
    await readToCopy(at.outbox, position, { limit: 9, maxBytes: 1_000_000 }),
  )
  await noteCopied(at.outbox, 'west', third!)
  const noted = async () => (await listCells(at.outbox))[0]!.copiedUpTo
  const slot = (await at.outbox.pool.query('select slot_name from walhook.positions')).rows[0].slot_name
  expect(await settleSetBack(main, west, third!)).toBe(null)

  expect(await settleSetBack(main, west, first!)).toMatchObject({ daysLost: [] })
  expect(await noted()).toBe(first)
  expect(await listOpenGaps(at.outbox, slot)).toEqual([])

  // Main has yesterday, and nothing before.
  const today = Math.floor(Date.now() / dayMs) * dayMs
  const kept = await at.webhook(['user.new'])
  for (const id of [kept, kept + 1])
    await place(at.outbox.pool, { webhookId: id, cell: 'west', tenant: null, movingTo: null })
  const [row] = (await at.outbox.pool.query('delete from walhook.webhooks w returning to_jsonb(w) as json'))
    .rows
  for (const id of [kept, kept + 2])
    await west.outbox.pool.query(
      `insert into walhook.webhooks overriding system value
       select r.* from jsonb_populate_record(null::walhook.webhooks, $1::jsonb || jsonb_build_object('id', $2::int)) r`,
      [row.json, id],
    )
  const lost = [3, 2].map(days => new Date(today - days * dayMs).toISOString().slice(0, 10))
  const setBack = () => settleSetBack(main, west, firstIdAt(today - 3 * dayMs))
  expect(await setBack()).toMatchObject({
    daysLost: lost,
    webhooksLost: [kept + 1],
    webhooksLeft: [kept + 2],
  })
  expect(await setBack()).toBe(null)
  const there = await west.outbox.pool.query('select id from walhook.webhooks')
  expect(there.rows).toEqual([{ id: kept }])
  const [gap, ...more] = await listOpenGaps(at.outbox, slot)
  expect(more).toEqual([])
  expect(gap).toMatchObject({ reason: 'cell set back', tableName: null, toLsn: expect.any(BigInt) })
  expect(gap!.detail).toContain(lost.join(', '))
  const { rows } = await at.outbox.pool.query('select kind from walhook.incidents')
  expect(rows).toEqual([{ kind: 'capture.lost' }])
})
