import { describeProgress } from '../../domain/capture/resync.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type Gap, listOpenGaps } from '../../outbox/source/gaps.ts'
import { openResyncs, orderResyncs } from '../../outbox/source/resyncs.ts'
import { readCatalogue } from '../source/read-catalogue.ts'
import type { Source } from '../source/source.ts'
import { describeEntity, describeLoss } from './resync.ts'

type Options = { readonly slotName: string; readonly mapping: readonly EntityMapping[] }

/** The open gaps of single tables, of one entity type or (null) all. */
export async function tableGapsOf(
  outbox: Outbox,
  slotName: string,
  entityType: string | null,
): Promise<Gap[]> {
  const open = await listOpenGaps(outbox, slotName)
  return open.filter(gap => gap.tableName !== null && (entityType === null || gap.entityType === entityType))
}

const typesOf = (gaps: readonly Gap[]) => [...new Set(gaps.map(({ entityType }) => entityType!))]

/** The obstacles to resyncing these gaps: a table that is not captured yet would be lost again. */
export function obstaclesToResync(gaps: readonly Gap[]): Problem[] {
  return gaps
    .filter(({ toLsn }) => toLsn === null)
    .map(({ tableName, reason }) => ({
      code: 'table_not_captured',
      what: `table ${tableName}`,
      found: `not captured again yet (${reason})`,
      mend: 'start walhook if it is stopped, wait until its state is "gap" or "lost" (GET /api/status), and run the command again. If it stays blocked: walhook check',
    }))
}

/**
 * Requests a resync of every entity type of these gaps. The stream continues: the capturing process sends each row and
 * deletes what is gone, page by page, and the last page ends the gaps.
 */
export async function orderTableResyncs(
  outbox: Outbox,
  gaps: readonly Gap[],
  { slotName }: Options,
): Promise<void> {
  for (const entityType of typesOf(gaps)) {
    const gapIds = gaps.filter(gap => gap.entityType === entityType).map(({ id }) => id)
    await orderResyncs(outbox.pool, { slotName, entityTypes: [entityType], gapIds })
  }
}

/** A description of such a resync, for confirmation; or that it is already running. */
export async function describeTableResyncs(
  source: Source,
  outbox: Outbox,
  gaps: readonly Gap[],
  { slotName, mapping }: Options,
): Promise<string[]> {
  const catalogue = await readCatalogue(source, mapping)
  const open = await openResyncs(outbox, slotName)
  const entities = mapping.filter(({ entityType }) => typesOf(gaps).includes(entityType))
  return [
    ...gaps.map(describeLoss),
    'A resync keeps the replication slot. While walhook captures everything, it sends to every webhook with the trigger:',
    ...(await Promise.all(entities.map(entity => describeEntity(source, catalogue, entity)))),
    ...open
      .filter(({ entityType, part }) => part === null && typesOf(gaps).includes(entityType))
      .map(resync => `Already running; --yes starts it again: ${describeProgress(resync)}`),
  ]
}
