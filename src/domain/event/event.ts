import type { Lsn } from '../value/lsn.ts'
import type { TimeId } from '../value/time-id.ts'
import type { AlertAction } from './alert.ts'

export type ActionType = 'new' | 'update' | 'delete'

/** The actions a webhook can be told of, in the order they are shown. */
export const actionTypes: readonly ActionType[] = ['new', 'update', 'delete']

/** What a row that was there all along is told as. */
export type BackfillAction = 'new' | 'update'

/** What an event knows beyond its body; null where that is nothing. */
export type EventFacts = {
  /** Of an update: a JSON object of fields that changed, with their values before. */
  readonly previous: string | null
  /** Of an update: the names of all fields that changed; null where that is not known. */
  readonly changed: readonly string[] | null
  /** Names of fields that `result`, or `last`, lacks, because their value could not be known any more. */
  readonly omitted: readonly string[] | null
}

/** Whose an event's entity is. */
export type OfTenant = {
  /** Null: nobody's, or not known. */
  readonly tenant: string | null
  /** Of an update: whose the entity was before, where it was another's; `nobody` for nobody's. Null: it was not, as far as is known. */
  readonly tenantBefore: string | null
}

/** One entity's change by one committed transaction. `body` is the text that receivers get who ask for no more. */
export type WebhookEvent = {
  readonly entityType: string
  readonly entityId: string
  readonly actionType: ActionType
  readonly body: string
  readonly commitLsn: Lsn
  /** Counts the events of one transaction from 0: with `commitLsn` it identifies the event. */
  readonly index: number
  readonly committedAt: Date
  readonly facts?: EventFacts
  /** Absent: the entity is nobody's. */
  readonly of?: OfTenant
}

/** A change of which no event could be made, with the reason. It has its index among the transaction's events. */
export type ParkedChange = Pick<WebhookEvent, 'entityType' | 'actionType' | 'commitLsn' | 'index'> & {
  readonly entityId: string | null
  readonly reason: string
}

/** An event with its place in the outbox. Ids rise in commit order. */
export type StoredEvent = WebhookEvent & { readonly id: TimeId }

/**
 * The JSON text of a request, its fields in the published order. `entityIdJson`, `resultJson` and `lastJson` are JSON
 * already; a null `resultJson` leaves `result` out, as on `delete`. `lastJson` has the values before a `delete`.
 */
export function writeBody(parts: {
  entityIdJson: string
  entityType: string
  actionType: ActionType | AlertAction | 'test'
  resultJson: string | null
  lastJson?: string | null
}): string {
  const { resultJson, lastJson = null } = parts
  const values =
    resultJson !== null ? `,"result":${resultJson}` : lastJson !== null ? `,"last":${lastJson}` : ''
  return `{"entity_id":${parts.entityIdJson},"entity_type":${JSON.stringify(parts.entityType)},"action_type":"${parts.actionType}"${values}}`
}

/** The body of an event, told as another action: with the same `result`. `from` is the action that it has. */
export function withAction(
  body: string,
  parts: { entityIdJson: string; entityType: string; from: ActionType; to: ActionType },
): string {
  const head = (actionType: ActionType) => writeBody({ ...parts, actionType, resultJson: null }).slice(0, -1)
  return head(parts.to) + body.slice(head(parts.from).length)
}

/** The body of an `update`, told as `new`. */
export function toldAsNew(body: string): string {
  // The first such text is the body's own: within a string of JSON, its quotes would be escaped.
  return body.replace('"action_type":"update"', '"action_type":"new"')
}

/** The body of an `update`, told as `delete`: nothing of what the entity has become. */
function toldAsDelete(body: string): string {
  return `${body.slice(0, body.indexOf('"action_type":"update"'))}"action_type":"delete"}`
}

/** In which other form an event is told. */
export type ToldForm = { readonly asNew: boolean; readonly asDelete: boolean }

/** The form of an event with an action that is told as `told`. */
export function formToldAs(action: string | null, told: string | null): ToldForm {
  return { asNew: action === 'update' && told === 'new', asDelete: action === 'update' && told === 'delete' }
}

/**
 * The text that is sent of an event, from its own `body`. `withPrevious`, for a webhook that wants what an event knows
 * beyond it: after `result`, the values before an update where they are known, and the names of fields that had to be
 * left out. `asNew`: an `update` is told as `new`, to a receiver that knows no values before it; `asDelete`: as `delete`.
 */
export function bodySent(
  event: Pick<EventFacts, 'previous' | 'omitted'> & { readonly body: string },
  form: ToldForm & { readonly withPrevious: boolean },
): string {
  if (form.asDelete) return toldAsDelete(event.body)
  const body = form.asNew ? toldAsNew(event.body) : event.body
  if (!form.withPrevious) return body
  const previous = form.asNew || event.previous === null ? '' : `,"previous":${event.previous}`
  const omitted = event.omitted === null ? '' : `,"omitted":${JSON.stringify(event.omitted)}`
  return `${body.slice(0, -1)}${previous}${omitted}}`
}

/**
 * The `webhook-id` of an event for one webhook: the same on every attempt, and different for two webhooks
 * that point at the same receiver.
 */
export function messageId(webhookId: number, eventId: TimeId): string {
  return `msg_${webhookId}_${eventId}`
}
