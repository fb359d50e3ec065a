/** The entity of an event. An entity's events are sent in order. */
export type Entity = { readonly entityType: string; readonly entityId: string }

/** A map key for an entity. */
export function entityKey({ entityType, entityId }: Entity): string {
  return JSON.stringify([entityType, entityId])
}
