import type pg from 'pg'
import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { statement } from '../database/statement.ts'
import { waitsInLog } from '../log/waits.ts'
import { stateAt, wantedColumns } from '../log/wanted.ts'

/** The events that a webhook's streams skip after a cancellation, and their positions. */
export type Skipped = {
  /** Absent: not yet created. */
  readonly skipId?: number
  readonly webhookId: number
  readonly entity: Entity | null
  readonly afterId: TimeId
  readonly upTo: TimeId
  /** By share: the settled position, and the end of what may be in flight. */
  readonly settled: readonly TimeId[]
  readonly maySend: readonly TimeId[]
}

const given = {
  webhookId: 'int',
  entityType: 'text',
  entityId: 'text',
  after: 'bigint',
  upTo: 'bigint',
  max: 'int',
  skipId: 'int',
  settled: 'bigint[]',
  maySend: 'bigint[]',
} as const

const countOf = (name: string, where: (p: Record<'entityType' | 'entityId', string>) => string) =>
  statement(
    name,
    given,
    p => `
select max(e.id) as last, count(*)::int as looked_at, (count(*) filter (where ${waitsInLog(p.webhookId, {
      e: 'e',
      s: 's',
      settled: `(${p.settled})[e.share + 1]`,
      maySend: `(${p.maySend})[e.share + 1]`,
      skips: `k.id is distinct from ${p.skipId}`,
    })}))::int as skipped
from (
  select ${wantedColumns}
  from walhook.events where ${where(p)} and id > ${p.after} and id <= ${p.upTo} order by id limit ${p.max}
) e
left join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s on true`,
  )

const countOfEntity = countOf(
  'count_skipped_of_entity',
  p => `entity_id = ${p.entityId} and entity_type = ${p.entityType}`,
)
const countOfWebhook = countOf('count_skipped', p => `${p.entityType} is null and ${p.entityId} is null`)

/** The events of the log per statement. */
const pageEvents = 50_000
/** Before a cancellation commits: every holder waits. */
const nearEvents = 1_000

/**
 * How many skipped, unfinished events after `after` a webhook wanted, in one page of the log. `next`: the end of the page;
 * null: the last.
 */
export async function countPage(
  db: pg.Pool | pg.ClientBase,
  { skipId, webhookId, entity, upTo, settled, maySend }: Skipped,
  after: TimeId,
): Promise<{ skipped: number; next: TimeId | null }> {
  const { entityType = null, entityId = null } = entity ?? {}
  const max = skipId === undefined ? nearEvents : pageEvents
  const { rows } = await (entity ? countOfEntity : countOfWebhook)(db, {
    webhookId,
    entityType,
    entityId,
    after,
    upTo,
    max,
    skipId: skipId ?? null,
    settled,
    maySend,
  })
  return { skipped: rows[0].skipped, next: rows[0].looked_at < max ? null : rows[0].last }
}

/** The same over all pages, or as many as were counted when `isTimeOver`. */
export async function countSkipped(db: pg.Pool, skip: Skipped, isTimeOver: () => boolean): Promise<number> {
  let skipped = 0
  for (let after: TimeId | null = skip.afterId; after !== null && !isTimeOver(); ) {
    const page: Awaited<ReturnType<typeof countPage>> = await countPage(db, skip, after)
    skipped += page.skipped
    after = page.next
  }
  return skipped
}
