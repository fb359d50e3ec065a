import { mostAskedPerDay, recipientKey } from '../../domain/alert/recipient.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'

/** An address of a tenant; `RecipientState` says what it may get. */
export type MailAddress = {
  readonly id: number
  readonly tenant: string
  /** In lower case. */
  readonly address: string
  readonly askAt: Date | null
  readonly attempts: number
  readonly askedAt: Date | null
  readonly confirmedAt: Date | null
  readonly stoppedAt: Date | null
}

const columns = 'id, tenant, address, ask_at, attempts, asked_at, confirmed_at, stopped_at'
type Main = Pick<Outbox, 'pool'>

/** Notes addresses of tenants. New ones are asked. */
export async function noteAddresses(
  { pool }: Main,
  all: readonly { readonly tenant: string; readonly address: string }[],
): Promise<void> {
  if (all.length === 0) return
  await pool.query(
    `insert into walhook.mail_addresses (tenant, address) select * from unnest($1::text[], $2::text[]) on conflict do nothing`,
    [all.map(({ tenant }) => tenant), all.map(({ address }) => recipientKey(address))],
  )
}

export async function findAddresses(
  { pool }: Main,
  tenant: string,
  addresses: readonly string[],
): Promise<ReadonlyMap<string, MailAddress>> {
  const { rows } = await pool.query({
    name: 'find_addresses',
    text: `select ${columns} from walhook.mail_addresses where tenant = $1 and address = any($2)`,
    values: [tenant, addresses.map(recipientKey)],
  })
  return new Map(rows.map(row => [row.address, fields<MailAddress>(row)]))
}

export async function findAddress({ pool }: Main, id: number): Promise<MailAddress | null> {
  const { rows } = await pool.query(`select ${columns} from walhook.mail_addresses where id = $1`, [id])
  return rows[0] ? fields<MailAddress>(rows[0]) : null
}

const takenForMs = 120_000
const ofDay = `asked_at > now() - interval '1 day'`
/** Whether tenant and address `m` may have a further mail today. */
const isWithinDay = (ofTenant: string, ofAddress: string) => `
(select count(*) from walhook.mail_addresses o where o.tenant = m.tenant and o.${ofDay}) < ${ofTenant}
and (select count(*) from walhook.mail_addresses o where o.address = m.address and o.${ofDay}) < ${ofAddress}`

/**
 * Takes addresses that are to be asked, and counts the attempt. What a tenant or an address may have in a day is kept to: others wait
 * for an hour, so that thousands of one tenant are not counted at each look.
 */
export async function takeToAsk({ pool }: Main, most: number): Promise<MailAddress[]> {
  await pool.query({
    name: 'put_off_asks',
    text: `update walhook.mail_addresses m set ask_at = now() + interval '1 hour'
           where ask_at <= now() and not (${isWithinDay('$1', '$2')})`,
    values: [mostAskedPerDay.ofTenant, mostAskedPerDay.ofAddress],
  })
  const { rows } = await pool.query({
    name: 'take_to_ask',
    text: `
with due as materialized (
  select id from walhook.mail_addresses m
  where ask_at <= now() and confirmed_at is null and stopped_at is null
    and ${isWithinDay('$2', '$3')}
  order by ask_at limit $1 for update skip locked
)
update walhook.mail_addresses m
set ask_at = now() + $4 * interval '1 ms', attempts = attempts + 1, asked_at = now()
from due where m.id = due.id
returning ${columns
      .split(', ')
      .map(column => `m.${column}`)
      .join(', ')}`,
    values: [most, mostAskedPerDay.ofTenant, mostAskedPerDay.ofAddress, takenForMs],
  })
  return rows.map(fields<MailAddress>)
}

/** Records the result of asking; `retryMs` null: it is not asked again by itself. */
export async function settleAsk(
  { pool }: Main,
  id: number,
  { error, retryMs }: { readonly error: string | null; readonly retryMs: number | null },
): Promise<void> {
  await pool.query(
    `update walhook.mail_addresses set error = $2, ask_at = now() + $3 * interval '1 ms' where id = $1`,
    [id, error?.slice(0, 500) ?? null, retryMs],
  )
}

/** Has a pending address asked again, unless it was asked after `since`; false: it was. */
export async function askAgain({ pool }: Main, id: number, afterMs: number): Promise<boolean> {
  const { rowCount } = await pool.query(
    `update walhook.mail_addresses set ask_at = now(), attempts = 0
     where id = $1 and confirmed_at is null and stopped_at is null
       and (asked_at is null or asked_at < now() - $2 * interval '1 ms')`,
    [id, afterMs],
  )
  return rowCount === 1
}

/** What the owner of an address says. */
export async function decideAddress({ pool }: Main, id: number, wantsMails: boolean): Promise<void> {
  await pool.query(
    `update walhook.mail_addresses set ask_at = null,
            confirmed_at = case when $2 then coalesce(confirmed_at, now()) else confirmed_at end,
            stopped_at = case when $2 then null else now() end
     where id = $1`,
    [id, wantsMails],
  )
}
