import type { Problem } from '../../domain/value/problem.ts'
import type { Queryable, Source } from './source.ts'

/** The limits for a lock, and for an answer of the catalogue. */
const limits = `set local lock_timeout = '5s'; set local statement_timeout = '30s'`
const lockNotAvailable = '55P03'
const queryCanceled = '57014'

/** Thrown if another session's lock blocks reading. */
export class SourceLocked extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(`${problem.what}: ${problem.found}. Fix: ${problem.mend}`)
    this.problem = problem
  }
}

/** Whether an error is a time-out for a lock or an answer. */
export function isTimeout(error: unknown): boolean {
  return [lockNotAvailable, queryCanceled].includes((error as { code?: string }).code ?? '')
}

/** Runs `work` in a read-only transaction; throws `SourceLocked` if a lock blocks it. */
export async function withinLimits<T>(source: Source, work: (db: Queryable) => Promise<T>): Promise<T> {
  const client = await source.pool.connect()
  try {
    await client.query(`begin read only; ${limits}`)
    const result = await work(client)
    await client.query('commit')
    client.release()
    return result
  } catch (error) {
    client.release(true)
    if (!isTimeout(error)) throw error
    throw new SourceLocked(lockedProblem('source database', await readLockHolders(source.pool, null)))
  }
}

/** A session with a lock that blocks reading. */
export type LockHolder = {
  readonly pid: number
  readonly table: string
  /** Its present or last query; empty if hidden from this role. */
  readonly query: string
  readonly seconds: number
}

const holdersStatement = `
select l.pid, coalesce(l.relation::regclass::text, '?') as table, left(coalesce(a.query, ''), 200) as query,
       coalesce(extract(epoch from now() - a.xact_start), 0)::int as seconds
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'relation' and l.granted and l.mode = 'AccessExclusiveLock' and l.pid <> pg_backend_pid()
  and l.database in (0, (select oid from pg_database where datname = current_database()))
  and ($1::int8[] is null or l.relation::int8 = any($1))
order by a.xact_start`

/** The sessions that lock one of these tables, or any (null), against reading. Waits for no lock. */
export async function readLockHolders(db: Queryable, oids: readonly number[] | null): Promise<LockHolder[]> {
  const { rows } = await db.query(holdersStatement, [oids])
  return rows.map(row => ({ ...row, pid: Number(row.pid), seconds: Number(row.seconds) }))
}

/** The locked object, the holders, and the fix. */
export function lockedProblem(what: string, holders: readonly LockHolder[]): Problem {
  const pids = [...new Set(holders.map(({ pid }) => pid))]
  const found = holders.map(
    ({ pid, table, query, seconds }) =>
      `${table} by process ${pid} for ${seconds} s${query === '' || query.startsWith('<') ? '' : ` (${query})`}`,
  )
  return {
    code: 'locked',
    what,
    found: `locked: ${found.length === 0 ? 'by a process that has since ended' : [...new Set(found)].join('; ')}`,
    mend: `let it end, or end it: ${pids.length === 0 ? 'select * from pg_locks where not granted;' : pids.map(pid => `select pg_terminate_backend(${pid});`).join(' ')}`,
  }
}
