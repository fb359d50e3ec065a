import type pg from 'pg'
import { type Outbox, repeatableTransaction } from './database.ts'

/**
 * Who may change what is on its way. Each holder has an advisory lock of its own:
 *
 * - a holder's settlements, picks and progress: shared. They then look whether the holder is still there (`standing`): what is
 *   gone was taken over, and changes nothing any more.
 * - a takeover: exclusive, of the dead one. So is what a holder does with its own shares.
 * - what is done by hand, and a settlement of what the holder does not serve any more: exclusive, of all of them.
 *
 * Not the rows of `holders`: shared locks of a row that overlap let nobody else come to it, not even the holder's beat.
 * Locks are taken in this order: holders, webhooks, shares and streams, deliveries and batches, ended deliveries and attempts.
 */
const holderLocks = 0x686f6c64

/** No holder has this id: who has it alone keeps others from joining. */
const joining = 0

/** A holder's part in its own lock; `standing` comes after it, as a statement of its own. */
export async function lockHolder(client: pg.ClientBase, holderId: number): Promise<void> {
  await client.query({
    name: 'lock_holder',
    text: 'select pg_advisory_xact_lock_shared($1, $2)',
    values: [holderLocks, holderId],
  })
}

/** Waits for everything that a holder has under way in the outbox. */
export async function lockHolderAlone(client: pg.ClientBase, holderId: number): Promise<void> {
  await client.query('select pg_advisory_xact_lock($1, $2)', [holderLocks, holderId])
}

/** The same, where it need not wait; false: it would have to. */
export async function tryLockHolderAlone(client: pg.ClientBase, holderId: number): Promise<boolean> {
  const { rows } = await client.query('select pg_try_advisory_xact_lock($1, $2) as is_ours', [
    holderLocks,
    holderId,
  ])
  return rows[0].is_ours
}

/** Lets nobody act by hand until this transaction, in which a holder joins, has ended. */
export const lockJoining = (client: pg.ClientBase): Promise<void> => lockHolder(client, joining)

/**
 * Stops every holder for the length of this transaction: the first statement of what is done by hand. What a holder has in
 * memory stays there; what it settles afterwards finds the rows as this transaction leaves them.
 */
export async function lockAllHolders(client: pg.ClientBase): Promise<void> {
  await lockHolderAlone(client, joining)
  // A statement of its own: it sees whoever joined before. One after the other, so that two never wait for each other.
  await client.query(
    'select pg_advisory_xact_lock($1, id) from (select id from walhook.holders order by id offset 0) h',
    [holderLocks],
  )
}

/** The shares that a holder serves, and the newest version of the webhooks. */
export type Standing = { readonly shares: ReadonlySet<number>; readonly webhooksVersion: number }

/** What a holder is, once it has its lock; null where it is fenced: another process has taken over. */
export async function standing(client: pg.ClientBase, holderId: number): Promise<Standing | null> {
  const { rows } = await client.query({
    name: 'standing',
    text: `select array(select share from walhook.shares where holder_id = $1) as shares,
                  (select version from walhook.webhooks_version) as webhooks_version
           from walhook.holders where id = $1`,
    values: [holderId],
  })
  const [row] = rows
  return row ? { shares: new Set<number>(row.shares), webhooksVersion: row.webhooks_version } : null
}

/** A transaction of a holder, whose `work` changes nothing but the database. Null, and nothing is done, where it is fenced. */
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
 * Ends the sessions that keep a holder's lock and have waited for its process for a second: to say what is next, or to take an
 * answer. It was stopped, or its link is cut, in the middle of a transaction, and nothing of it would ever let go.
 */
export async function endStuckSessions(db: pg.Pool | pg.ClientBase, holderId: number): Promise<number> {
  const { rows } = await db.query(
    `select pg_terminate_backend(l.pid)
     from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.database = a.datid and a.datname = current_database()
       and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid and l.objsubid = 2 and l.granted
       and a.usename = current_user
       and (a.state like 'idle in transaction%' or a.wait_event_type = 'Client')
       and a.state_change < clock_timestamp() - interval '1 second'`,
    [holderLocks, holderId],
  )
  return rows.length
}
