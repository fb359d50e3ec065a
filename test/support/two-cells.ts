import { nonceBytes, seal } from '../../src/domain/webhook/seal.ts'
import type { Cell } from '../../src/outbox/cells/cells.ts'
import { urlPurpose } from '../../src/outbox/cells/registry.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { createPosition } from '../../src/outbox/log/position.ts'
import { createTestDatabase } from './database.ts'
import type { openTestApi } from './open-api.ts'
import { deliverIn } from './open-outbox.ts'
import { openTestLink } from './test-link.ts'

type At = Awaited<ReturnType<typeof openTestApi>>

/**
 * Adds two cells to an outbox: `near`, in another schema of its database, and `far`, in another database, behind `link`, which
 * can stall. Nothing is delivered, and `copyLog` copies the log.
 */
export async function addTwoCells(at: At) {
  const { control } = at
  const database = await createTestDatabase({ hasOutbox: true })
  const link = await openTestLink(database.url)
  await add(at, { name: 'near', number: 1, schema: 'walhook_near', url: null })
  await add(at, { name: 'far', number: 2, schema: 'walhook', url: link.url })
  await control.cells.refresh()
  const [, near, far] = control.cells.all() as [Cell, Cell, Cell]
  return {
    near,
    far,
    link,
    database,
    async [Symbol.asyncDispose]() {
      link.heal()
      for (const { outbox } of [near, far]) await outbox[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
      await database.drop()
    },
  }
}

export type TwoCells = Awaited<ReturnType<typeof addTwoCells>>

async function add(
  { control, outbox }: At,
  { name, number, schema, url }: { name: string; number: number; schema: string; url: string | null },
): Promise<void> {
  await using cell = openOutbox({ url: url ?? outbox.url, schema, maxConnections: 2, onError() {} })
  const migrated = await migrate(cell)
  if (!migrated.ok) throw new Error(JSON.stringify(migrated))
  await ensurePartitions(cell, Date.now())
  await createPosition(cell.pool, 'log', { systemIdentifier: '1', commitLsn: 0n })
  for (const table of ['audit', 'incidents', 'alert_mails', 'replays'])
    await cell.pool.query(`alter table walhook.${table} alter column id restart with ${number * 20_000_000}`)
  const sealed = url && seal(control.sealKey, urlPurpose(name), url, control.randomBytes(nonceBytes))
  await outbox.pool.query(
    'insert into walhook.cells (name, schema, url, copied_up_to) values ($1, $2, $3, 0)',
    [name, schema, sealed],
  )
}

/** Copies the events that a cell lacks. No webhook there wants those from before its last change. */
export async function copyLog({ outbox }: At, { outbox: cell }: Cell): Promise<void> {
  const { rows: there } = await cell.pool.query(
    'select coalesce(max(last_event_id), 0) as id from walhook.positions',
  )
  const { rows } = await outbox.pool.query(
    'select e.*, to_jsonb(e)::text as line from walhook.events e where id > $1 order by id',
    [there[0].id],
  )
  if (rows.length === 0) return
  await cell.pool.query(
    `insert into walhook.events
     select (jsonb_populate_record(null::walhook.events, line || jsonb_build_object('webhooks_version', v.version))).*
     from jsonb_array_elements($1::jsonb) line, walhook.webhooks_version v`,
    [`[${rows.map(({ line }) => line)}]`],
  )
  await cell.pool.query('update walhook.positions set last_event_id = $1', [rows.at(-1)!.id])
}

/** Of three events: a webhook of this cell got one, gave up another, and one waits for it. */
export async function fillWebhook(
  { outbox }: Pick<Cell, 'outbox'>,
  webhookId: number,
  [delivered, dead]: readonly bigint[],
): Promise<{ attemptId: bigint }> {
  await deliverIn(outbox, webhookId, delivered!)
  await outbox.pool.query(
    `insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
     select $1, id, entity_type, entity_id, 'dead', 10 from walhook.events where id = $2`,
    [webhookId, dead],
  )
  const { rows } = await outbox.pool.query('select id from walhook.attempts where webhook_id = $1', [
    webhookId,
  ])
  return { attemptId: rows[0].id }
}
