import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type SealKey, seal, unseal } from '../../domain/webhook/seal.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'

/** The name of the first cell: the main outbox, which has the registry. */
export const mainCell = 'main'

/** A cell as the main outbox knows it. */
export type Registered = {
  /** Its ids begin at `number` × 20,000,000 (`beginIds`). */
  readonly number: number
  readonly name: string
  readonly schema: string
  /** The sealed URL of its database; null: the main outbox's. */
  readonly url: string | null
  /** It has the log at least up to here. */
  readonly copiedUpTo: TimeId
}

const columns = 'number, name, schema, url, copied_up_to'

/** The cells besides main, in the order in which they were added. */
export async function listCells({ pool }: Pick<Outbox, 'pool'>): Promise<Registered[]> {
  const { rows } = await pool.query(`select ${columns} from walhook.cells order by number`)
  return rows.map(fields<Registered>)
}

/** The purpose of a cell's sealed URL. */
export const urlPurpose = (name: string) => `cell ${name}`

/** The URL of a cell's database. Throws if its envelope does not open. */
export function urlOf(
  { name, url }: Pick<Registered, 'name' | 'url'>,
  mainUrl: string,
  key: SealKey,
): string {
  if (url === null) return mainUrl
  const opened = unseal(key, urlPurpose(name), url)
  if (!opened.ok) throw new Error(`the URL of the cell ${name} can't be read: ${opened.reason}`)
  return opened.text
}

type Db = Pick<pg.ClientBase | pg.Pool, 'query'>

/** Adds a cell. Until it has copied it, the main outbox keeps its whole log. */
export async function insertCell(
  db: Db,
  { name, schema, url }: Pick<Registered, 'name' | 'schema' | 'url'>,
): Promise<Registered> {
  const { rows } = await db.query(
    `insert into walhook.cells (name, schema, url, copied_up_to) values ($1, $2, $3, 0) returning ${columns}`,
    [name, schema, url],
  )
  return fields<Registered>(rows[0])
}

/** Replaces the sealed URL of a cell, whose database has moved. */
export async function setCellUrl(
  { pool }: Pick<Outbox, 'pool'>,
  { name, url }: Pick<Registered, 'name' | 'url'>,
): Promise<void> {
  await pool.query('update walhook.cells set url = $2 where name = $1', [name, url])
}

/** Re-encrypts the URLs sealed with another key. Those that `key` does not open stay. */
export async function resealUrls(
  main: Pick<Outbox, 'pool'>,
  key: SealKey,
  newNonce: () => Uint8Array,
): Promise<void> {
  for (const { name, url } of await listCells(main)) {
    if (url === null || url.startsWith(`v1:${key.id}:`)) continue
    const opened = unseal(key, urlPurpose(name), url)
    if (opened.ok) await setCellUrl(main, { name, url: seal(key, urlPurpose(name), opened.text, newNonce()) })
  }
}

/** Records a cell's position in the log: late, never early. */
export async function noteCopied({ pool }: Pick<Outbox, 'pool'>, name: string, upTo: TimeId): Promise<void> {
  await pool.query('update walhook.cells set copied_up_to = $2 where name = $1 and copied_up_to < $2', [
    name,
    upTo,
  ])
}

/** Where a webhook is, and where it is being moved to (null: nowhere). */
export type Placement = {
  readonly webhookId: number
  /** The webhook's. */
  readonly tenant: string | null
  readonly cell: string
  readonly movingTo: string | null
}

/** A webhook without a placement is in main; to a tenant, so is one of another tenant. `tenant` null: any. */
export async function findPlacement(
  db: Db,
  webhookId: number,
  tenant: string | null = null,
): Promise<Placement> {
  const { rows } = await db.query({
    name: 'find_placement',
    text: `select webhook_id, tenant, cell, moving_to from walhook.placements
           where webhook_id = $1 and (tenant = $2 or $2 is null)`,
    values: [webhookId, tenant],
  })
  return rows[0] ? fields<Placement>(rows[0]) : { webhookId, tenant, cell: mainCell, movingTo: null }
}

/** The cells besides main with a webhook of a tenant. */
export async function cellsOfTenant({ pool }: Pick<Outbox, 'pool'>, tenant: string): Promise<Set<string>> {
  const { rows } = await pool.query({
    name: 'cells_of_tenant',
    text: 'select distinct cell from walhook.placements where tenant = $1',
    values: [tenant],
  })
  return new Set(rows.map(({ cell }) => cell))
}

/**
 * Records where a webhook is, and where it moves, before its row is in a cell: a placement without a webhook is harmless. Throws
 * if a cell was removed.
 */
export async function place(db: Db, { webhookId, tenant, cell, movingTo }: Placement): Promise<void> {
  if (cell === mainCell && movingTo === null) {
    await db.query('delete from walhook.placements where webhook_id = $1', [webhookId])
    return
  }
  const others = [cell, movingTo].filter(name => name !== null && name !== mainCell)
  const { rowCount } = await db.query(
    `insert into walhook.placements (webhook_id, tenant, cell, moving_to)
     select $1, $2, $3, $4
     where (select count(*) from (select 1 from walhook.cells where name = any($5) for key share) c) = cardinality($5::text[])
     on conflict (webhook_id) do update set cell = excluded.cell, moving_to = excluded.moving_to`,
    [webhookId, tenant, cell, movingTo, others],
  )
  if (rowCount === 0) throw new Error(`there is no cell ${others.join(' or ')}`)
}

/** Webhooks with an unfinished move. */
export async function listMoves({ pool }: Pick<Outbox, 'pool'>): Promise<Placement[]> {
  const { rows } = await pool.query(
    'select webhook_id, tenant, cell, moving_to from walhook.placements where moving_to is not null order by webhook_id',
  )
  return rows.map(fields<Placement>)
}

/** How many webhooks each cell has; one with none is absent. A webhook that is deleted may be counted for a while. */
export async function countByCell({ pool }: Pick<Outbox, 'pool'>): Promise<Map<string, number>> {
  const { rows } = await pool.query(
    `select '${mainCell}' as cell, count(*)::int as count from walhook.webhooks
     union all
     select cell, count(*)::int from walhook.placements where cell <> '${mainCell}' group by cell`,
  )
  return new Map(rows.map(({ cell, count }) => [cell, count]))
}
