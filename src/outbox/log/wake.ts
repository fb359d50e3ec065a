import { connectionConfig } from '../database/connecting.ts'
import type { Outbox } from '../database/database.ts'
import { setUpSession } from '../database/session-settings.ts'
import { createWatch, WatchedClient } from '../database/watched-client.ts'
import { wakeChannel } from './append.ts'

/** Notifies every process that something may be due, or that the slot is free. */
export async function notifyWake(outbox: Pick<Outbox, 'pool'>, what: '' | 'slot' = ''): Promise<void> {
  await outbox.pool.query(`select pg_notify('${wakeChannel}', $1)`, [what])
}

const askEveryMs = 10_000

/**
 * Listens for commits to the outbox and calls `onWake` for each with its payload:
 *
 * - an append: the id of its last event
 * - a change of webhooks: `webhooks`
 * - shares that are free: `shares`
 * - a slot that is free: `slot`
 * - a new replay: `replays`
 * - a manual action: `hand:` and the webhook's id
 * - otherwise empty; and null once at the start, since earlier notifications were missed
 *
 * Runs until `signal` ends it; rejects when the connection is lost. It checks that every few
 * seconds, because a silently dead connection delivers no wake-ups.
 * https://www.postgresql.org/docs/current/sql-listen.html
 */
export async function listenForWakes(
  { url, schema }: { readonly url: string; readonly schema?: string },
  onWake: (payload: string | null) => void,
  signal: AbortSignal,
): Promise<void> {
  const client = new WatchedClient({
    ...connectionConfig(url, 'walhook listen'),
    watch: createWatch({ url }),
    ...(schema !== undefined && { schema }),
  })
  const lost = Promise.withResolvers<void>()
  // An early loss rejects before anyone awaits; the await below still gets it.
  lost.promise.catch(() => {})
  client.on('error', lost.reject)
  client.on('end', () => lost.reject(new Error('the connection that listens for wake-ups was closed')))
  client.on('notification', ({ payload }) => onWake(payload ?? ''))
  const stop = () => lost.resolve()
  let asking: NodeJS.Timeout | undefined
  signal.addEventListener('abort', stop, { once: true })
  try {
    await client.connect()
    client.backendPid = await setUpSession(client)
    await client.query(`listen ${wakeChannel}`)
    onWake(null)
    asking = setInterval(() => client.query('select').catch(lost.reject), askEveryMs)
    if (!signal.aborted) await lost.promise
  } finally {
    clearInterval(asking)
    signal.removeEventListener('abort', stop)
    await client.end().catch(() => {})
  }
}
