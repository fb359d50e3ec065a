import type { Client } from 'pg'
import { connect } from '../support/connect.ts'
import { openQueue } from './delivery-queue.ts'
import { perSecond } from './figures.ts'
import type { Stage } from './stage.ts'
import { exampleBody } from './users.ts'

/** How many of an append and of a settlement share a commit. */
const perAppend = 200
const perSettlement = 50

/** Runs a statement over the events `from` to `to` of each part, in a connection of the server itself, each part a flushed commit. */
async function inParts(psql: Client, rows: number, per: number, statements: string): Promise<number> {
  const startMs = performance.now()
  await psql.query(`do $$ declare first bigint; last bigint; begin
    for i in 0..${rows / per - 1} loop
      first := (select min(id) from walhook.events) + i * ${per}; last := first + ${per} - 1;
      ${statements}
      commit;
    end loop; end $$`)
  return performance.now() - startMs
}

/**
 * Events per second that Postgres by itself takes through the outbox, no client, no plan that is made anew and nothing
 * decided: first appended with the position, then each attempt logged and the places moved on. `rows` is a multiple of 200.
 */
export async function writeOutboxBare(
  stage: Stage,
  rows: number,
): Promise<{ append: number; deliver: number }> {
  const place = await stage.place({ prepare: async () => {} })
  await using queue = await openQueue(place.url)
  const webhookId = await queue.webhook(place.receiverUrl)
  await queue.events(1, `''`)
  await using psql = await connect(place.url)
  const body = `'${exampleBody(1).replaceAll("'", "''")}'`
  const appendMs = await inParts(
    psql,
    rows,
    perAppend,
    `insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id,
                                 action_type, committed_at, body)
     select first + 1 + n, n % 12, 1, '0/1', n, 'user', (i * ${perAppend} + n)::text, 'new', now(), ${body}
     from generate_series(0, ${perAppend - 1}) n;
     update walhook.positions set last_event_id = last, updated_at = now();`,
  )
  await queue.analyze()
  const deliverMs = await inParts(
    psql,
    rows,
    perSettlement,
    `perform from walhook.events e where e.id between first and last;
     insert into walhook.attempts (webhook_id, trigger, event_id, message_id, entity_type, entity_id, action_type, number, url,
       request_headers, started_at, duration_ms, phases, remote_address, status, response_headers, response_body, outcome)
     select ${webhookId}, 'schedule', e.id, 'msg_' || e.id, 'user', e.entity_id, 'new', 1, 'http://127.0.0.1/',
       '{"webhook-id": "msg", "content-type": "application/json", "user-agent": "walhook", "webhook-timestamp": "1", "webhook-signature": "v1,"}',
       now(), 1.5, '{"dns_ms": null, "connect_ms": null, "first_byte_ms": 1}', '127.0.0.1', 204, '{"connection": "keep-alive"}', '', 'delivered'
     from walhook.events e where e.id between first and last;
     update walhook.shares set settled_up_to = last;`,
  )
  await stage.leave(place)
  return { append: perSecond(rows, appendMs), deliver: perSecond(rows, deliverMs) }
}
