/** What an event is about: the events of one entity are sent in their order. */
export type Entity = { readonly entityType: string; readonly entityId: string }

/** One name for an entity. */
export function entityKey({ entityType, entityId }: Entity): string {
  return JSON.stringify([entityType, entityId])
}
