import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readPosition } from '../../outbox/log/position.ts'
import { openGap } from '../../outbox/source/gaps.ts'
import { readFacts } from '../source/preflight.ts'
import type { Source } from '../source/source.ts'
import { CaptureLost } from './state.ts'

const undefinedObject = '42704'

/**
 * Explains the error that an existing publication does not exist: before PostgreSQL 18, a slot older than its publication is
 * unreadable, since WAL is decoded with the catalogue of its time. Records the gap; returns any other error unchanged.
 */
export async function lossOfOldSlot(
  error: unknown,
  source: Source,
  outbox: Outbox,
  options: { slotName: string; publicationName: string; mapping: readonly EntityMapping[] },
): Promise<unknown> {
  const { slotName, publicationName } = options
  // The source file in PostgreSQL, because the message is in the server's language.
  const { code, file } = error as { code?: string; file?: string }
  if (code !== undefinedObject || file !== 'pg_publication.c') return error
  try {
    const [position, facts] = await Promise.all([readPosition(outbox, slotName), readFacts(source, options)])
    if (!position || !facts.slot || !facts.publication) return error
    const loss = {
      reason: 'slot older than publication',
      detail: `the replication slot ${slotName} reads WAL that is older than the publication ${publicationName}`,
    } as const
    await openGap(outbox, { ...loss, slotName, fromLsn: position.commitLsn })
    return new CaptureLost(loss)
  } catch {
    return error
  }
}
