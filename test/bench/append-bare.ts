import { connect } from '../support/connect.ts'
import { openQueue } from './delivery-queue.ts'
import { perSecond } from './figures.ts'
import type { Stage } from './stage.ts'
import { exampleBody } from './users.ts'

const perAppend = 200

/**
 * Events per second that Postgres by itself appends with the position, 200 in a flushed commit: no client, and no plan that is made
 * anew. `rows` is a multiple of 200.
 */
export async function appendBare(stage: Stage, rows: number): Promise<number> {
  const place = await stage.place({ prepare: async () => {} })
  await using queue = await openQueue(place.url)
  await queue.events(1, `''`)
  await using psql = await connect(place.url)
  const body = `'${exampleBody(1).replaceAll("'", "''")}'`
  const startMs = performance.now()
  await psql.query(`do $$ declare first bigint; begin
    first := (select min(id) from walhook.events);
    for i in 0..${rows / perAppend - 1} loop
      insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id,
                                  action_type, committed_at, body)
      select first + 1 + n, n % 12, 1, '0/1', n, 'user', (i * ${perAppend} + n)::text, 'new', now(), ${body}
      from generate_series(0, ${perAppend - 1}) n;
      first := first + ${perAppend};
      update walhook.positions set last_event_id = first, updated_at = now();
      commit;
    end loop; end $$`)
  const rate = perSecond(rows, performance.now() - startMs)
  await stage.leave(place)
  return rate
}
