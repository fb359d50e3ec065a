import type pg from 'pg'
import type { LanguageCode } from '../../domain/access/language.ts'
import { type AskWait, maxAskedPerDay, recipientKey } from '../../domain/alert/recipient.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { lockKey } from '../schema/in-schema.ts'

/** An address of a tenant; `recipientState` says what it may get. */
export type MailAddress = {
  readonly id: number
  readonly tenant: string
  /** In lower case. */
  readonly address: string
  /** When walhook asks it; null: only on request. */
  readonly askAt: Date | null
  /** It is due for minutes, and no process has taken it. */
  readonly isOverdue: boolean
  readonly waitsFor: Exclude<AskWait, 'smtp_server'> | null
  readonly attempts: number
  /** When an email was last taken to be sent. */
  readonly takenAt: Date | null
  /** When the SMTP server last accepted one. */
  readonly askedAt: Date | null
  /** Why it did not accept the last one. */
  readonly error: string | null
  readonly confirmedAt: Date | null
  readonly stoppedAt: Date | null
  /** Its owner's; null: unknown. */
  readonly language: LanguageCode | null
}

const isOverdue = `coalesce(m.ask_at < now() - interval '2 minutes', false)`
const columns = `m.id, m.tenant, m.address, m.ask_at, ${isOverdue} as is_overdue, m.waits_for, m.attempts, m.taken_at, m.asked_at, m.error,
  m.confirmed_at, m.stopped_at, m.language`
/** Neither confirmed nor stopped. */
const isOpen = 'm.confirmed_at is null and m.stopped_at is null'
type Main = Pick<Outbox, 'pool'>

/** Notes addresses of tenants, with the language of the user who adds them (null: unknown). New ones are asked. */
export async function noteAddresses(
  { pool }: Main,
  all: readonly { readonly tenant: string; readonly address: string }[],
  language: LanguageCode | null = null,
): Promise<void> {
  if (all.length === 0) return
  await pool.query(
    `insert into walhook.mail_addresses (tenant, address, language) select *, $3 from unnest($1::text[], $2::text[])
     on conflict do nothing`,
    [all.map(({ tenant }) => tenant), all.map(({ address }) => recipientKey(address)), language],
  )
}

export async function findAddresses(
  { pool }: Main,
  tenant: string,
  addresses: readonly string[],
): Promise<ReadonlyMap<string, MailAddress>> {
  const { rows } = await pool.query({
    name: 'find_addresses',
    text: `select ${columns} from walhook.mail_addresses m where tenant = $1 and address = any($2)`,
    values: [tenant, addresses.map(recipientKey)],
  })
  return new Map(rows.map(row => [row.address, fields<MailAddress>(row)]))
}

export async function findAddress({ pool }: Main, id: number): Promise<MailAddress | null> {
  const { rows } = await pool.query(`select ${columns} from walhook.mail_addresses m where id = $1`, [id])
  return rows[0] ? fields<MailAddress>(rows[0]) : null
}

const takenForMs = 120_000
const checkedAtOnce = 1_000
/** A unique number of advisory locks: one process takes at a time, so that the limits of a day hold. */
const takingLock = lockKey(0x61736b73)

/** The emails that were sent within a day to the addresses `o`. */
const sentOfDay = (which: string) => `
(select coalesce(sum((select count(*) from unnest(o.sent_at) at where at > now() - interval '1 day')), 0)
 from walhook.mail_addresses o where ${which} and o.taken_at > now() - interval '1 day')`

/** Without a lock, as nearly always none is due. */
async function isAnyDue(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query({
    name: 'is_address_due',
    text: `select exists (select 1 from walhook.mail_addresses m where m.ask_at <= now() and ${isOpen}) as is_due`,
  })
  return rows[0].is_due
}

/**
 * Takes addresses to ask, and counts the attempt. Those beyond the daily limit of their tenant or address wait for an hour, so
 * that thousands of them are not counted each time.
 */
export async function takeToAsk({ pool }: Main, max: number): Promise<MailAddress[]> {
  if (!(await isAnyDue(pool))) return []
  return await transaction(pool, async client => {
    await client.query(`select pg_advisory_xact_lock(${takingLock})`)
    const { rows } = await client.query({
      name: 'take_to_ask',
      text: `
with due as materialized (
  select m.id, m.tenant, m.address, m.ask_at from walhook.mail_addresses m
  where m.ask_at <= now() and ${isOpen} order by m.ask_at, m.id limit ${checkedAtOnce}
), counted as materialized (
  select d.id, d.ask_at,
    row_number() over (partition by d.tenant order by d.ask_at, d.id) + ${sentOfDay('o.tenant = d.tenant')} <= $2
    and row_number() over (partition by d.address order by d.ask_at, d.id) + ${sentOfDay('o.address = d.address')} <= $3
      as is_within_day
  from due d
), over_limit as (
  update walhook.mail_addresses m set ask_at = now() + interval '1 hour', waits_for = 'daily_limit'
  from counted j where m.id = j.id and not j.is_within_day
)
update walhook.mail_addresses m
set ask_at = now() + $4 * interval '1 ms', waits_for = null, attempts = m.attempts + 1, taken_at = now(),
    sent_at = array(select at from unnest(m.sent_at) at where at > now() - interval '1 day') || now()
from (select id from counted where is_within_day order by ask_at, id limit $1) j
where m.id = j.id and m.ask_at <= now() and ${isOpen}
returning ${columns}`,
      values: [max, maxAskedPerDay.ofTenant, maxAskedPerDay.ofAddress, takenForMs],
    })
    return rows.map(fields<MailAddress>)
  })
}

/** Records that no email can be sent without walhook's public URL. Checked again in a minute. */
export async function awaitPublicUrl({ pool }: Main): Promise<void> {
  await pool.query({
    name: 'await_public_url',
    text: `update walhook.mail_addresses m set waits_for = 'public_url', ask_at = now() + interval '1 minute'
           where m.ask_at <= now() and ${isOpen}`,
  })
}

/** Records the result of asking; `retryMs` null: it is not asked again. Unsent mails do not count towards the daily limit. */
export async function settleAsk(
  { pool }: Main,
  id: number,
  { error, retryMs }: { readonly error: string | null; readonly retryMs: number | null },
): Promise<void> {
  await pool.query(
    `update walhook.mail_addresses
     set error = $2::text, ask_at = now() + $3 * interval '1 ms',
         asked_at = case when $2 is null then taken_at else asked_at end,
         sent_at = case when $2 is null then sent_at else array_remove(sent_at, taken_at) end
     where id = $1`,
    [id, error?.slice(0, 500) ?? null, retryMs],
  )
}

/** Requests another mail to an address; false: an email is being sent, or was sent less than `afterMs` ago. */
export async function askAgain(client: pg.ClientBase, id: number, afterMs: number): Promise<boolean> {
  const { rowCount } = await client.query(
    `update walhook.mail_addresses m set ask_at = now(), attempts = 0, waits_for = null
     where m.id = $1 and ${isOpen} and coalesce(m.asked_at < now() - $2 * interval '1 ms', true)
       and coalesce(m.taken_at < now() - $3 * interval '1 ms', true)`,
    [id, afterMs, takenForMs],
  )
  return rowCount === 1
}

/** The decision and language of an address's owner. */
export async function decideAddress(
  { pool }: Main,
  id: number,
  { wantsMails, language }: { readonly wantsMails: boolean; readonly language: LanguageCode },
): Promise<void> {
  await pool.query(
    `update walhook.mail_addresses set ask_at = null, language = $3,
            confirmed_at = case when $2 then coalesce(confirmed_at, now()) else confirmed_at end,
            stopped_at = case when $2 then null else now() end
     where id = $1`,
    [id, wantsMails, language],
  )
}

/** The numbers of addresses that could not be asked, by cause. */
export type AskTrouble = {
  readonly noPublicUrl: number
  /** Due for minutes, and no process has taken them. */
  readonly noServer: number
  /** The SMTP server did not accept the last email to them, within a week. */
  readonly failed: number
  readonly lastError: string | null
}

export async function readAskTrouble({ pool }: Main): Promise<AskTrouble> {
  const { rows } = await pool.query(`
    select count(*) filter (where m.waits_for = 'public_url')::int as no_public_url,
           count(*) filter (where ${isOverdue})::int as no_server,
           count(*) filter (where m.error is not null and m.taken_at > now() - interval '7 days')::int as failed,
           (array_agg(m.error order by m.taken_at desc) filter (where m.error is not null))[1] as last_error
    from walhook.mail_addresses m where ${isOpen} and (m.ask_at is not null or m.error is not null)`)
  return fields<AskTrouble>(rows[0])
}
