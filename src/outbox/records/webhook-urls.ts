import type { Log } from '../../runtime/log.ts'
import type { Outbox } from '../database/database.ts'

/**
 * Normalizes stored URLs as they are checked and used: older versions stored the typed text, which may look like another host
 * (`http://127.0.0.1:9\@crm.example`).
 */
export async function normalizeUrls(outbox: Outbox, log: Log): Promise<void> {
  const { rows } = await outbox.pool.query<{ id: number; url: string }>(
    'select id, url from walhook.webhooks',
  )
  const changed = rows.flatMap(({ id, url }) => {
    const href = URL.parse(url)?.href
    return href === undefined || href === url || href.length > 2048 ? [] : [{ id, url, href }]
  })
  if (changed.length === 0) return
  await outbox.pool.query(
    `update walhook.webhooks w set url = c.href
     from unnest($1::int[], $2::text[], $3::text[]) as c (id, url, href)
     where w.id = c.id and w.url = c.url`,
    [changed.map(one => one.id), changed.map(one => one.url), changed.map(one => one.href)],
  )
  log.info('webhooks.urls_normalized', { webhook_ids: changed.map(({ id }) => id) })
}
