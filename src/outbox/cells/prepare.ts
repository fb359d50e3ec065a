import type pg from 'pg'
import type { Problem } from '../../domain/value/problem.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { checkOutbox } from '../database/inspect.ts'
import { describeMigration, migrate } from '../database/migrate.ts'
import { ensureDays } from '../days/upkeep.ts'
import { headOf } from '../log/position.ts'
import { problemOfHome, readOutboxId, settleHome } from '../source/home.ts'
import { placeByCitus } from './citus.ts'
import type { Registered } from './registry.ts'

/** Where a cell's tables are: on the server that the URL names, or where Citus places its schema. */
type Placing = 'plain' | 'citus'

/** The name of a cell's position: it captures the log of main. */
export const logSlot = 'log'

/** The tables with visible ids, which must be unique across cells. */
const shownIds = ['audit', 'incidents', 'alert_mails', 'replays']
const idsOfOne = 20_000_000

/**
 * Creates or migrates a cell's tables, and starts its log where the main one starts. Repeatable; concurrent calls are safe.
 * Returns problems for a person to fix; throws if the cell does not respond.
 */
export async function prepareCell(
  main: Outbox,
  cell: Outbox,
  { number, name }: Pick<Registered, 'number' | 'name'>,
  { placing, nowMs }: { placing: Placing; nowMs: number },
): Promise<{ ok: true; applied: readonly string[] } | { ok: false; problems: readonly Problem[] }> {
  const elsewhere = await problemOfHome(cell.pool)
  const problems = elsewhere ? [elsewhere] : await checkOutbox(cell)
  if (problems.length > 0) return { ok: false, problems }
  const migrated = describeMigration(await migrate(cell), cell.schema)
  if (!migrated.ok) return { ok: false, problems: [migrated.problem] }
  await settleHome(cell.pool, { isSource: false })
  const owner = (await readOutboxId(main.pool))!
  if (owner === (await readOutboxId(cell.pool))) return { ok: false, problems: [isMainItself(name, cell)] }
  await transaction(cell.pool, client => beginLog(client, { owner, number, main }))
  const foreign = await problemOfOwner(cell, name, owner)
  if (foreign) return { ok: false, problems: [foreign] }
  if (placing === 'citus') {
    const lacking = await placeByCitus(cell)
    if (lacking.length > 0) return { ok: false, problems: lacking }
  }
  await ensureDays(cell, nowMs)
  return { ok: true, applied: migrated.applied }
}

/**
 * A new cell copies the log from the oldest event on, but its streams begin at the newest one, since no webhook there wants
 * earlier events. The first of several processes does it.
 */
async function beginLog(
  client: pg.PoolClient,
  { owner, number, main }: { owner: string; number: number; main: Outbox },
): Promise<void> {
  const { rowCount } = await client.query(
    `insert into walhook.positions (slot_name, system_identifier, commit_lsn) values ('${logSlot}', $1, '0/0')
     on conflict do nothing`,
    [owner],
  )
  if (rowCount === 0) return
  await client.query('update walhook.shares set settled_up_to = $1', [await headOf(main)])
  for (const table of shownIds)
    await client.query(`alter table walhook.${table} alter column id restart with ${number * idsOfOne}`)
}

const isMainItself = (name: string, { schema }: Outbox): Problem => ({
  code: 'cell',
  what: `cell ${name}, schema ${schema}`,
  found: 'the main outbox itself',
  mend: 'give the cell another database or schema',
})

async function problemOfOwner(cell: Outbox, name: string, owner: string): Promise<Problem | null> {
  const { rows } = await cell.pool.query(
    'select slot_name, system_identifier as owner from walhook.positions',
  )
  const [{ slot_name: slotName, owner: found }] = rows
  if (slotName === logSlot && found === owner) return null
  const mend =
    slotName === logSlot
      ? `give the cell another database or schema; or, if the main outbox was moved and no other walhook uses this cell: walhook adopt --continue`
      : 'give the cell another database or schema'
  return {
    code: 'cell',
    what: `cell ${name}, schema ${cell.schema}`,
    found: slotName === logSlot ? 'the cell of another outbox' : 'an outbox that captures itself',
    mend,
  }
}
