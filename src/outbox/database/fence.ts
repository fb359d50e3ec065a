import type pg from 'pg'
import { lockKey } from '../schema/in-schema.ts'
import { type Outbox, repeatableTransaction, transaction } from './database.ts'
import { timelineOf } from './session-settings.ts'

/**
 * Guards deliveries by an advisory lock per holder:
 *
 * - a holder's settlements, picks and progress: shared. They then check that the holder still exists (`standing`): one that
 *   was taken over changes nothing.
 * - a takeover: exclusive, of the dead holder. So are a holder's changes of its own shares.
 * - work by hand, and the settlement of a share that the holder no longer serves: exclusive, of all holders.
 *
 * Not row locks of `holders`: overlapping shared locks would block even the holder's heartbeat. Lock order: holders,
 * webhooks, heads of attempts, shares and streams, deliveries and batches, ended deliveries and attempts.
 */
const holderLocks = lockKey(0x686f6c64)

/** No holder has this id: its exclusive lock keeps others from joining. */
const joining = 0

/** A holder's share of its own lock; `standing` follows, as a separate statement. */
export async function lockHolder(client: pg.ClientBase, holderId: number): Promise<void> {
  await client.query({
    name: 'lock_holder',
    text: `select pg_advisory_xact_lock_shared(${holderLocks}, $1)`,
    values: [holderId],
  })
}

/** Waits for all of a holder's transactions. */
export async function lockHolderAlone(client: pg.ClientBase, holderId: number): Promise<void> {
  await client.query(`select pg_advisory_xact_lock(${holderLocks}, $1)`, [holderId])
}

/** The same without waiting; false: it would have to. */
export async function tryLockHolderAlone(client: pg.ClientBase, holderId: number): Promise<boolean> {
  const { rows } = await client.query(`select pg_try_advisory_xact_lock(${holderLocks}, $1) as is_ours`, [
    holderId,
  ])
  return rows[0].is_ours
}

/** Blocks work by hand until this transaction, in which a holder joins, has ended. */
export const lockJoining = (client: pg.ClientBase): Promise<void> => lockHolder(client, joining)

/**
 * Stops every holder for this transaction: the first statement of work by hand. Holders keep their memory; later settlements
 * find the changed rows.
 */
export async function lockAllHolders(client: pg.ClientBase): Promise<void> {
  await lockHolderAlone(client, joining)
  // A separate statement, which sees all holders that joined before. In order, so that two of them never deadlock.
  const { rows } = await client.query('select id from walhook.holders order by id')
  // A statement without a table: with a table on another node, the locks would be taken there.
  await client.query(`select pg_advisory_xact_lock(${holderLocks}, id) from unnest($1::int[]) as h (id)`, [
    rows.map(({ id }) => id),
  ])
}

/** A holder's shares, and the newest version of the webhooks. */
type Standing = { readonly shares: ReadonlySet<number>; readonly webhooksVersion: number }

/**
 * Whether the server is the one that a holder joined, by its timeline and the session's (either may be unknown). Another one may
 * lack commits that the holder's memory relies on: rows that it has set aside, and attempts.
 */
export const isOfTimeline = (timeline: string) => `coalesce(timeline = ${timeline}, true)`

/** A holder's state under its lock; null: it is fenced, because another process has taken over, or the outbox may have gone back. */
export async function standing(client: pg.ClientBase, holderId: number): Promise<Standing | null> {
  const { rows } = await client.query({
    name: 'standing',
    text: `select array(select share from walhook.shares where holder_id = $1) as shares,
                  (select version from walhook.webhooks_version) as webhooks_version
           from walhook.holders where id = $1 and ${isOfTimeline('$2::text')}`,
    values: [holderId, timelineOf(client)],
  })
  const [row] = rows
  return row ? { shares: new Set<number>(row.shares), webhooksVersion: row.webhooks_version } : null
}

/** A holder's transaction, whose `work` changes only the database. Null: it is fenced, and nothing was done. */
export async function asHolder<T>(
  outbox: Pick<Outbox, 'pool'>,
  holderId: number,
  work: (client: pg.PoolClient, held: Standing) => Promise<T>,
): Promise<T | null> {
  return await repeatableTransaction(outbox.pool, async client => {
    const [, held] = await Promise.all([lockHolder(client, holderId), standing(client, holderId)])
    return held && (await work(client, held))
  })
}

/**
 * Ends sessions with a holder's lock that have waited for their client for a second: it stopped, or its link was cut, inside
 * a transaction, which would keep the lock for ever. As the role that logged in: a role may set another one for its sessions,
 * which may neither see nor end them. Returns the process ids in Postgres of all that have the lock.
 */
export async function endStuckSessions(
  pool: pg.Pool,
  holderId: number,
): Promise<{ readonly ended: readonly number[]; readonly waitedFor: readonly number[] }> {
  return await transaction(pool, async client => {
    await client.query('set local role none')
    const { rows } = await client.query(
      `select l.pid,
              case when a.usename = session_user
                and (a.state like 'idle in transaction%' or a.wait_event_type = 'Client')
                and a.state_change < clock_timestamp() - interval '1 second'
                then pg_terminate_backend(l.pid) else false end as is_ended
       from pg_locks l join pg_stat_activity a using (pid)
       where l.locktype = 'advisory' and l.database = a.datid and a.datname = current_database()
         and l.classid = ${holderLocks}::bigint::oid and l.objid = $1::bigint::oid and l.objsubid = 2 and l.granted`,
      [holderId],
    )
    const pids = (isEnded: boolean) => rows.filter(row => row.is_ended === isEnded).map(({ pid }) => pid)
    return { ended: pids(true), waitedFor: pids(false) }
  })
}
