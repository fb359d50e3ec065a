import pg from 'pg'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import { connectionTo } from '../../outbox/database/connecting.ts'

/**
 * Where the WAL of `timeline` was left for another one, by the history of a timeline; null where it does not come from
 * that. Each line names a timeline it has come through, and up to where.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
 */
export function forkOf(history: string, timeline: number): Lsn | null {
  for (const line of history.split('\n')) {
    const [parent, switchPoint] = line.trim().split(/\s+/)
    if (parent === String(timeline) && switchPoint) return parseLsn(switchPoint)
  }
  return null
}

/**
 * Asks the server for the history of its timeline `now`. Only a replication connection may.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-TIMELINE-HISTORY
 */
export async function readFork(url: string, { was, now }: { was: number; now: number }): Promise<Lsn | null> {
  const client = new pg.Client({
    ...(await connectionTo(url, 'walhook timeline')),
    replication: 'database',
  } as pg.ClientConfig)
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query(`TIMELINE_HISTORY ${Number(now)}`)
    return forkOf(Buffer.from(rows[0].content).toString('utf8'), was)
  } finally {
    await client.end()
  }
}
