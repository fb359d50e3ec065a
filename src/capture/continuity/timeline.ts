import type pg from 'pg'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import { connectionTo, DatabaseClient } from '../../outbox/database/connecting.ts'

/**
 * Where `timeline` was left, by the history of a descendant; null: unrelated. Each line is an ancestor with its end.
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
 * Reads the history of the server's timeline `now`, over a replication connection.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-TIMELINE-HISTORY
 */
export async function readFork(url: string, { was, now }: { was: number; now: number }): Promise<Lsn | null> {
  const client = new DatabaseClient({
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
