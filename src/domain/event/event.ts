import type { Lsn } from '../value/lsn.ts'
import type { TimeId } from '../value/time-id.ts'
import type { AlertAction } from './alert.ts'

export type ActionType = 'new' | 'update' | 'delete'

/** The actions of entities, in display order. */
export const actionTypes: readonly ActionType[] = ['new', 'update', 'delete']

/** The action that existing rows are sent as. */
export type BackfillAction = 'new' | 'update'

/** The facts of an event beyond its body, each null if there are none. */
export type EventFacts = {
  /** Of an update: a JSON object of the changed fields with their values before. */
  readonly previous: string | null
  /** Of an update: the names of all changed fields; null: unknown. */
  readonly changed: readonly string[] | null
  /** Fields missing from `result` or `last` because their value is unknown. */
  readonly omitted: readonly string[] | null
}

/** The tenant of an event's entity. */
export type OfTenant = {
  /** Null: none, or unknown. */
  readonly tenant: string | null
  /** Of an update that changed the tenant: the one before; `nobody`: none. Null: unchanged, as far as known. */
  readonly tenantBefore: string | null
}

/** One transaction's change of one entity. `body` is the text sent by default. */
export type WebhookEvent = {
  readonly entityType: string
  readonly entityId: string
  readonly actionType: ActionType
  readonly body: string
  readonly commitLsn: Lsn
  /** Counts the events of one transaction from 0; with `commitLsn` it identifies the event. */
  readonly index: number
  readonly committedAt: Date
  readonly facts?: EventFacts
  /** Absent: the entity has no tenant. */
  readonly of?: OfTenant
}

/** A change that could not become an event, with the reason. It has an index among its transaction's events. */
export type ParkedChange = Pick<WebhookEvent, 'entityType' | 'actionType' | 'commitLsn' | 'index'> & {
  readonly entityId: string | null
  readonly reason: string
}

/** An event with its id in the log. Ids rise in commit order. */
export type StoredEvent = WebhookEvent & { readonly id: TimeId }

/**
 * The JSON text of an event, in the published order of fields. `entityIdJson`, `resultJson` and `lastJson` are JSON already;
 * a null `resultJson` omits `result`, as for `delete`. `lastJson` has the values before a `delete`.
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

/** The body with another action and the same `result`. `from` is its present action. */
export function withAction(
  body: string,
  parts: { entityIdJson: string; entityType: string; from: ActionType; to: ActionType },
): string {
  const head = (actionType: ActionType) => writeBody({ ...parts, actionType, resultJson: null }).slice(0, -1)
  return head(parts.to) + body.slice(head(parts.from).length)
}

/** The body of an `update`, sent as `new`. */
export function bodyAsNew(body: string): string {
  // The first match is the body's own: quotes inside JSON strings are escaped.
  return body.replace('"action_type":"update"', '"action_type":"new"')
}

/** The body of an `update`, sent as `delete`, without the entity's new values. */
function bodyAsDelete(body: string): string {
  return `${body.slice(0, body.indexOf('"action_type":"update"'))}"action_type":"delete"}`
}

/** The form that an event is sent in, unless its own. */
export type SentForm = { readonly asNew: boolean; readonly asDelete: boolean }

/** The form of an event with `action` that is sent as `sentAs`. */
export function sentForm(action: string | null, sentAs: string | null): SentForm {
  return {
    asNew: action === 'update' && sentAs === 'new',
    asDelete: action === 'update' && sentAs === 'delete',
  }
}

/**
 * The text sent for an event, made from its `body`.
 *
 * - `withPrevious`: adds the known values before an update, and the names of omitted fields, after `result`
 * - `asNew`, `asDelete`: an `update` is sent as that action
 */
export function bodySent(
  event: Pick<EventFacts, 'previous' | 'omitted'> & { readonly body: string },
  form: SentForm & { readonly withPrevious: boolean },
): string {
  if (form.asDelete) return bodyAsDelete(event.body)
  const body = form.asNew ? bodyAsNew(event.body) : event.body
  if (!form.withPrevious) return body
  const previous = form.asNew || event.previous === null ? '' : `,"previous":${event.previous}`
  const omitted = event.omitted === null ? '' : `,"omitted":${JSON.stringify(event.omitted)}`
  return `${body.slice(0, -1)}${previous}${omitted}}`
}

/** The `webhook-id` of an event for one webhook: equal for each attempt, different for two webhooks of the same receiver. */
export function messageId(webhookId: number, eventId: TimeId): string {
  return `msg_${webhookId}_${eventId}`
}
