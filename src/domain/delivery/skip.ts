import { type Entity, entityKey } from '../event/entity.ts'
import type { TimeId } from '../value/time-id.ts'

/** Events in (afterId, upTo] that an admin cancelled, of one entity or of all. */
export type Skip = {
  readonly entity: Entity | null
  readonly afterId: TimeId
  readonly upTo: TimeId
}

export function isSkipped(skips: readonly Skip[], event: Entity & { readonly eventId: TimeId }): boolean {
  return skips.some(
    ({ entity, afterId, upTo }) =>
      event.eventId > afterId &&
      event.eventId <= upTo &&
      (entity === null || entityKey(entity) === entityKey(event)),
  )
}
