import pg from 'pg'
import { type ActionType, type StoredEvent, writeBody } from '../domain/event.ts'
import { formatLsn, type Lsn, parseLsn } from '../domain/lsn.ts'
import type { EntityMapping } from '../domain/mapping.ts'
import type { Problem } from '../domain/problem.ts'
import { nextId, type TimeId } from '../domain/time-id.ts'
import { append } from '../outbox/append.ts'
import { type Outbox, transaction } from '../outbox/database.ts'
import { endGap, type Gap, knownEntities, listGaps } from '../outbox/gaps.ts'
import { restartPosition } from '../outbox/position.ts'
import { connectionConfig, setUpSession } from '../outbox/session-settings.ts'
import { type Catalogue, readCatalogue } from './catalogue.ts'
import { writeDeletion } from './map.ts'
import { preflight } from './preflight.ts'
import type { SourceFacts } from './preflight-verdict.ts'
import { createPublication } from './publication-verdict.ts'
import { readPage } from './read-back.ts'
import { showRows } from './read-entity.ts'
import { slotLock } from './setup.ts'
import type { Queryable, Source } from './source.ts'

export type ResyncOptions = {
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  nowMs: () => number
}

export type ResyncResult =
  | { readonly ok: true; readonly fromLsn: Lsn; readonly events: number }
  | { readonly ok: false; readonly problems: readonly Problem[] }

const pageRows = 1_000

/** The gap of the slot that is open, or null: nothing is lost. */
export async function openGapOf(outbox: Outbox, slotName: string): Promise<Gap | null> {
  return (await listGaps(outbox, slotName)).find(({ resyncedAt }) => resyncedAt === null) ?? null
}

/**
 * Begins anew after a gap: makes a new slot, and in one commit of the outbox an event for every row as it is at
 * the slot's very beginning (`update` where receivers know the entity, else `new`), a `delete` for every entity that
 * they know and that is gone, and the position from which the slot goes on. Killed at any moment it has done nothing,
 * but perhaps made a slot that the next resync drops.
 */
export async function resync(source: Source, outbox: Outbox, options: ResyncOptions): Promise<ResyncResult> {
  const { slotName } = options
  await using lock = await lockSlot(source)
  const { problems, facts, catalogue } = await preflight(source, options)
  const { rows } = await lock.query('select active_pid from pg_replication_slots where slot_name = $1', [
    slotName,
  ])
  if (rows[0]?.active_pid)
    problems.push({
      what: `replication slot ${slotName}`,
      found: 'in use',
      mend: 'stop the walhook that reads it: nothing is lost while it can be read',
    })
  if (problems.length > 0) return { ok: false, problems }
  if (facts.slot) await lock.query('select pg_drop_replication_slot($1)', [slotName])
  if (!facts.publication) await lock.query(createPublication(options.publicationName, options.mapping, facts))

  await using slot = await createExportingSlot(source.url, slotName)
  await lock.query('begin isolation level repeatable read read only')
  await lock.query(`set transaction snapshot '${slot.snapshot}'`)
  const events = await appendEverything(lock, outbox, options, { facts, catalogue, startsAt: slot.startsAt })
  return { ok: true, fromLsn: slot.startsAt, events }
}

async function lockSlot(source: Source): Promise<Queryable & AsyncDisposable> {
  const client = await source.pool.connect()
  const disposable = Object.assign(client, { [Symbol.asyncDispose]: async () => client.release(true) })
  await client.query('select pg_advisory_lock($1)', [slotLock])
  return disposable
}

/**
 * A slot whose beginning can be read as a snapshot, for as long as this connection does nothing else.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT
 */
async function createExportingSlot(url: string, slotName: string) {
  const config = { ...connectionConfig(url, 'walhook resync'), replication: 'database' }
  const replication = new pg.Client(config as pg.ClientConfig)
  replication.on('error', () => {})
  await replication.connect()
  try {
    await setUpSession(replication)
    // The name was checked against a pattern that leaves nothing to quote.
    const { rows } = await replication.query(
      `CREATE_REPLICATION_SLOT "${slotName}" LOGICAL pgoutput EXPORT_SNAPSHOT`,
    )
    return {
      startsAt: parseLsn(rows[0].consistent_point),
      snapshot: String(rows[0].snapshot_name),
      [Symbol.asyncDispose]: () => replication.end(),
    }
  } catch (error) {
    await replication.end()
    throw error
  }
}

async function appendEverything(
  snapshot: Queryable,
  outbox: Outbox,
  options: ResyncOptions,
  at: { facts: SourceFacts; catalogue: Catalogue; startsAt: Lsn },
): Promise<number> {
  const { slotName, nowMs } = options
  return await transaction(outbox.pool, async client => {
    const { systemIdentifier } = at.facts
    let lastEventId: TimeId = await restartPosition(client, slotName, {
      systemIdentifier,
      commitLsn: at.startsAt,
    })
    let index = 0

    async function store(entityType: string, items: readonly Item[]): Promise<void> {
      const events = items.map(({ entityId, actionType, body }): StoredEvent => {
        lastEventId = nextId(lastEventId, nowMs())
        const place = { commitLsn: at.startsAt, index: index++, committedAt: new Date(nowMs()) }
        return { ...place, entityType, entityId, actionType, body, id: lastEventId }
      })
      const position = {
        slotName,
        expected: at.startsAt,
        commitLsn: at.startsAt,
        confirmableLsn: at.startsAt,
      }
      await append(client, { ...position, lastEventId, events, parked: [] })
    }

    for (const entity of options.mapping) {
      const gone = await knownEntities(client, entity.entityType)
      for await (const page of pagesOf(snapshot, at.catalogue, entity)) {
        const items = page.map(({ entityId, entityIdJson, resultJson }) => {
          const actionType: ActionType = gone.delete(entityId) ? 'update' : 'new'
          const body = writeBody({ entityIdJson, entityType: entity.entityType, actionType, resultJson })
          return { entityId, actionType, body }
        })
        await store(entity.entityType, items)
      }
      const deleted = [...gone].map(entityId => writeDeletion(at.catalogue, entity, entityId))
      for (let from = 0; from < deleted.length; from += pageRows)
        await store(entity.entityType, deleted.slice(from, from + pageRows))
    }
    await endGap(client, slotName, at.startsAt)
    return index
  })
}

type Item = Pick<StoredEvent, 'entityId' | 'actionType' | 'body'>

async function* pagesOf(snapshot: Queryable, catalogue: Catalogue, entity: EntityMapping) {
  let after: string | null = null
  for (;;) {
    const rows = await readPage(snapshot, catalogue, entity, { after, limit: pageRows })
    if (rows.size === 0) return
    yield await showRows(snapshot, catalogue, entity, rows)
    after = [...rows.keys()].at(-1)!
  }
}

/** What a resync will do, in words for whoever is about to say yes. */
export async function describeResync(source: Source, gap: Gap, options: ResyncOptions): Promise<string[]> {
  const catalogue = await readCatalogue(source, options.mapping)
  const lines = [
    `Changes are lost since ${formatLsn(gap.fromLsn)} (found ${gap.foundAt.toISOString()}): ${gap.reason}, ${gap.detail}.`,
    `A resync drops the replication slot ${options.slotName} if it is there, makes a new one, and sends to every webhook that has the trigger:`,
  ]
  for (const { entityType, table } of options.mapping) {
    const { rows } = await source.pool.query(
      `select greatest(reltuples, 0)::bigint as n from pg_class where oid = $1`,
      [catalogue.tables.get(`"${table.schema}"."${table.name}"`)?.oid ?? 0],
    )
    lines.push(
      `  ${entityType}: update or new for each row there is (about ${rows[0]?.n ?? 0}), delete for each ${entityType} that was told of and is gone`,
    )
  }
  lines.push('Nothing has been changed yet. To do it: walhook resync --yes')
  return lines
}
