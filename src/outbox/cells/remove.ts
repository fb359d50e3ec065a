import { sleep } from '../../runtime/sleep.ts'
import { within } from '../../runtime/within.ts'
import { transaction } from '../database/database.ts'
import type { Cell } from './cells.ts'

export type Removal =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: 'no cell' }
  | { readonly ok: false; readonly why: 'moves'; readonly webhookIds: readonly number[] }
  | { readonly ok: false; readonly why: 'webhooks'; readonly webhooks: readonly Found[] }
type Found = { readonly id: number; readonly name: string }

const responseTimeoutMs = 5_000
/** Longer than the time from a new webhook's placement to its commit. */
const longestCreationMs = 5_000

/**
 * Removes a cell from the registry, unless it has webhooks or one moves in or out. Its tables stay. No webhook can be placed there at the
 * same time. Throws if the cell does not respond.
 */
export async function removeCell(main: Cell, cell: Cell): Promise<Removal> {
  return await transaction<Removal>(main.outbox.pool, async client => {
    const { rowCount } = await client.query('select 1 from walhook.cells where name = $1 for update', [
      cell.name,
    ])
    if (rowCount === 0) return { ok: false, why: 'no cell' }
    const { rows: placed } = await client.query(
      'select webhook_id as id, moving_to from walhook.placements where $1 in (cell, moving_to) order by 1',
      [cell.name],
    )
    const moves = placed.filter(({ moving_to: movingTo }) => movingTo !== null)
    if (moves.length > 0) return { ok: false, why: 'moves', webhookIds: moves.map(({ id }) => id) }
    let webhooks = await webhooksIn(cell)
    if (webhooks.length === 0 && placed.length > 0) {
      await sleep(longestCreationMs)
      webhooks = await webhooksIn(cell)
    }
    if (webhooks.length > 0) return { ok: false, why: 'webhooks', webhooks }
    await client.query('delete from walhook.placements where cell = $1', [cell.name])
    await client.query('delete from walhook.cells where name = $1', [cell.name])
    return { ok: true }
  })
}

async function webhooksIn({ outbox }: Cell): Promise<Found[]> {
  const { rows } = await within(
    responseTimeoutMs,
    outbox.pool.query<Found>('select id, name from walhook.webhooks order by id'),
  )
  return rows
}

/** Deletes the tables of a cell that was removed, and everything else in its schema. */
export async function dropSchema({ outbox }: Cell): Promise<void> {
  await outbox.pool.query(`drop schema if exists ${outbox.schema} cascade`)
}
