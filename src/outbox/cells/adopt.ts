import type pg from 'pg'
import { type Outbox, transaction } from '../database/database.ts'
import { moveHome } from '../source/home.ts'
import { logSlot } from './prepare.ts'

/** Makes a cell belong to the main outbox with the id `owner`, and to its present database. Repeatable. */
export async function adoptCell({ pool }: Pick<Outbox, 'pool'>, owner: string): Promise<void> {
  await transaction(pool, async client => {
    await moveHome(client, { ifElsewhere: true })
    await client.query(
      `update walhook.positions set system_identifier = $1 where slot_name = '${logSlot}' and system_identifier <> $1`,
      [owner],
    )
  })
}

/** Removes every cell from the registry of a copy: they belong to the original. Returns their names. */
export async function forgetCells(client: pg.ClientBase): Promise<readonly string[]> {
  await client.query('delete from walhook.placements')
  const { rows } = await client.query('delete from walhook.cells returning name')
  return rows.map(({ name }) => name)
}
