import type { Entity } from '../domain/entity.ts'
import { isSkipped, type Skip } from '../domain/skip.ts'
import type { TimeId } from '../domain/time-id.ts'

/**
 * Whether a row was asked for by hand out of what waits in the log, and its stream, which was read up to `readUpTo`, may still bring older
 * events of the entity: those up to where it might have been sent then. What was beyond became rows with it, and is skipped.
 */
export function isBeforeStream(
  skips: readonly Skip[],
  row: Entity & { readonly eventId: TimeId },
  readUpTo: TimeId,
): boolean {
  return skips.some(skip => skip.entity !== null && readUpTo < skip.afterId && isSkipped([skip], row))
}
