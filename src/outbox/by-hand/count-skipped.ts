import type pg from 'pg'
import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { statement } from '../database/statement.ts'
import { waitsInLog } from '../log/waits.ts'
import { stateAt, wantedColumns } from '../log/wanted.ts'

/** What the streams of a webhook pass over since a cancellation, and where they were. */
export type Skipped = {
  /** Absent: not yet. */
  readonly skipId?: number
  readonly webhookId: number
  readonly entity: Entity | null
  readonly afterId: TimeId
  readonly upTo: TimeId
  /** By share: up to here everything was settled, and up to here it may have been under way. */
  readonly settled: readonly TimeId[]
  readonly maySend: readonly TimeId[]
}

const given = {
  webhookId: 'int',
  entityType: 'text',
  entityId: 'text',
  after: 'bigint',
  upTo: 'bigint',
  most: 'int',
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
  from walhook.events where ${where(p)} and id > ${p.after} and id <= ${p.upTo} order by id limit ${p.most}
) e
left join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s on true`,
  )

const countOfEntity = countOf(
  'count_skipped_of_entity',
  p => `entity_id = ${p.entityId} and entity_type = ${p.entityType}`,
)
const countOfWebhook = countOf('count_skipped', p => `${p.entityType} is null and ${p.entityId} is null`)

/** How many events of the log are looked at in one statement. */
const pageEvents = 50_000
/** Before a cancellation has committed: every holder waits. */
const nearEvents = 1_000

/**
 * How many events after `after` a webhook wanted, of those that are passed over, and that are not done with: of a page of the log.
 * `next`: where the page ends; null: it was the last.
 */
export async function countPage(
  db: pg.Pool | pg.ClientBase,
  { skipId, webhookId, entity, upTo, settled, maySend }: Skipped,
  after: TimeId,
): Promise<{ skipped: number; next: TimeId | null }> {
  const { entityType = null, entityId = null } = entity ?? {}
  const most = skipId === undefined ? nearEvents : pageEvents
  const { rows } = await (entity ? countOfEntity : countOfWebhook)(db, {
    webhookId,
    entityType,
    entityId,
    after,
    upTo,
    most,
    skipId: skipId ?? null,
    settled,
    maySend,
  })
  return { skipped: rows[0].skipped, next: rows[0].looked_at < most ? null : rows[0].last }
}

/** The same of all pages; as many as were counted when `isTimeOver` says so. */
export async function countSkipped(db: pg.Pool, skip: Skipped, isTimeOver: () => boolean): Promise<number> {
  let skipped = 0
  for (let after: TimeId | null = skip.afterId; after !== null && !isTimeOver(); ) {
    const page: Awaited<ReturnType<typeof countPage>> = await countPage(db, skip, after)
    skipped += page.skipped
    after = page.next
  }
  return skipped
}
