import { expect, test } from 'vitest'
import { nonceBytes, parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { prepareCell } from '../../src/outbox/cells/prepare.ts'
import { listCells, place, urlPurpose } from '../../src/outbox/cells/registry.ts'
import { readOutboxId } from '../../src/outbox/source/home.ts'
import { addTestCell } from '../support/cells.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { runWalhook, secretKey } from '../support/walhook-process.ts'

/** An outbox with a cell, both of which were moved to another database. */
async function openMoved() {
  const at = await openTestOutbox()
  const west = await addTestCell(at, 'west')
  for (const { pool } of [at.outbox, west.outbox])
    await pool.query('update walhook.home set database_oid = database_oid::bigint + 1')
  const adopt = (option: string) => runWalhook(at.database, ['adopt', option])
  const prepare = async () => {
    const [registered] = await listCells(at.outbox)
    return await prepareCell(at.outbox, west.outbox, registered!, { placing: 'plain', nowMs: Date.now() })
  }
  return {
    ...{ at, west, adopt, prepare },
    async [Symbol.asyncDispose]() {
      await west[Symbol.asyncDispose]()
      await at[Symbol.asyncDispose]()
    },
  }
}

test('a moved outbox continues with its cells, also with those that respond later', async () => {
  await using moved = await openMoved()
  const { at, adopt, prepare } = moved
  expect(await prepare()).toMatchObject({ ok: false })
  expect(await adopt('--continue')).toEqual({
    code: 0,
    stdout: expect.stringContaining('The cell west belongs to it.\n'),
    stderr: '',
  })
  expect(await prepare()).toMatchObject({ ok: true })

  // Once more, with a cell that is away: the outbox keeps its id, and so its cells.
  const id = await readOutboxId(at.outbox.pool)
  const away = 'postgres://walhook@127.0.0.1:1/away'
  const sealed = seal(parseSealKey(secretKey)!, urlPurpose('away'), away, Buffer.alloc(nonceBytes, 1))
  await at.outbox.pool.query(
    `insert into walhook.cells (name, schema, url, copied_up_to) values ('away', 'walhook', $1, 0)`,
    [sealed],
  )
  expect(await adopt('--continue')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^cell away: not adopted: .*ECONNREFUSED.* run the command again/),
  })
  expect(await readOutboxId(at.outbox.pool)).toBe(id)
  expect(await prepare()).toMatchObject({ ok: true })
})

test('a discarded copy forgets its cells and leaves them to the original', async () => {
  await using moved = await openMoved()
  const { at, west, adopt } = moved
  await place(at.outbox.pool, { webhookId: 7, tenant: null, cell: 'west', movingTo: null })
  const owners = async () =>
    (await west.outbox.pool.query('select system_identifier from walhook.positions')).rows
  const before = await owners()
  const { code, stdout, stderr } = await adopt('--discard')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('Forgot the cells west, which belong to the original')
  expect(await listCells(at.outbox)).toEqual([])
  expect((await at.outbox.pool.query('select from walhook.placements')).rowCount).toBe(0)
  expect(await owners()).toEqual(before)
})
