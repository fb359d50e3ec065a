import type { TimeId } from '../value/time-id.ts'

/** An older event of the entity that blocks this one, with the time of its next attempt if known. */
type Behind = { readonly event: TimeId; readonly entityType: string }

/** The filter's values and the event's value; null: the event lacks the field. */
export type Mismatch = {
  readonly field: string
  readonly json: string | null
  readonly isOver: boolean
  readonly wanted: readonly string[]
  /** It matched before the change. */
  readonly hasLeft: boolean
}

const count = (attempts: number) => (attempts === 1 ? 'one attempt' : `${attempts || 'no'} attempts`)
const behind = ({ event, entityType }: Behind, what: string) =>
  `Pending behind event ${event} of the same ${entityType}, ${what}: walhook sends each entity's events in order.`

export const explainTexts = {
  delivered: (at: string, attempt: number) => `Delivered at ${at}, by attempt ${attempt}.`,
  deliveredBefore: (at: string) => `It was delivered before, at ${at}.`,
  lastTried: (at: string, attempt: number) =>
    `The receiver did not accept attempt ${attempt}, at ${at}. The event is no longer pending.`,
  noTrace: () =>
    'The webhook subscribed to the event, but no record of a delivery is left: its log is no longer kept, or the webhook was changed at about the time of the event.',
  inFlight: () => 'In flight: the receiver has not responded yet.',
  behindInFlight: (of: Behind) => behind(of, 'which is in flight'),
  behindRetried: (of: Behind, at: string) => behind(of, `which is retried at ${at}`),
  behindDue: (of: Behind) => behind(of, 'which is due'),
  behindFirst: (of: Behind) => behind(of, 'which goes first'),
  blocked: () => 'Not sent: its address is not allowed.',
  notAccepted: () => 'Not accepted yet.',
  nextAttempt: (attempt: number, at: string) => `Attempt ${attempt} follows at ${at}.`,
  inactive: () => 'Pending until the webhook is active again: an admin deactivated it.',
  disabled: (at: string | null) =>
    `Pending until the webhook is active again: it was disabled${at === null ? '' : ` at ${at}`}.`,
  held: (until: string) => `Pending until ${until}: the receiver asked for a pause.`,
  next: () => 'Next: walhook sends it as soon as the webhook has capacity.',
  noProcess: () => 'Pending until a walhook process delivers: none does now.',
  catchingUp: () => 'Pending: the webhook has a backlog, and walhook sends earlier events first.',
  dead: (at: string, attempts: number) => `Dead letter since ${at}, after ${count(attempts)}.`,
  lastFailure: (reason: string) => `The last failure: ${reason}`,
  canBeResent: () => 'You can resend it.',
  superseded: (by: TimeId | null) =>
    `Superseded by ${by === null ? 'a newer event' : `event ${by}`}: the webhook receives only the latest state of each entity.`,
  cancelled: (at: string, attempts: number) => `Cancelled at ${at}, after ${count(attempts)}.`,
  otherTenant: () => 'Not sent: the event belongs to another tenant than the webhook.',
  madeLater: (at: string) =>
    `Not sent: the webhook was created at ${at}, after the event. You can replay the event.`,
  movedLater: (at: string) =>
    `Unknown: the webhook was moved to its cell at ${at}, after the event. Its settings of before are not kept there. The log of the webhook shows what was sent.`,
  forAnother: (id: number) => `Not sent: a backfill created the event for webhook ${id} only.`,
  inactiveThen: () => 'Not sent: the webhook was inactive then.',
  disabledThen: () => 'Not sent: the webhook was disabled then.',
  asItIsNow: () => 'This is the present setting. The setting at that time is not recorded.',
  filtered({ field, json, isOver, wanted, hasLeft }: Mismatch) {
    const is = json === null ? 'is not in the event' : `${isOver ? 'was' : 'is'} ${json}`
    const left = hasLeft
      ? ' The entity matched before, and the webhook receives nothing when one stops matching.'
      : ''
    return `Not sent: ${field} ${is}, and the filter wants ${shortened(wanted.join(' or '))}.${left}`
  },
  notSubscribed: (trigger: string) => `Not sent: the webhook did not subscribe to ${trigger}.`,
  noWantedField: (changed: readonly string[], wanted: readonly string[]) =>
    `Not sent: the update changed ${changed.join(', ') || 'no field'}, and the webhook receives only updates of ${wanted.join(', ')}.`,
  alertNotSubscribed: (trigger: string) => `Not sent: the webhook does not subscribe to ${trigger}.`,
  alertForOthers: () =>
    'Not sent: an alert goes to the webhooks that are active and have its trigger at that time, except the one that it is about.',
  /** Why an attempt failed, or a webhook was disabled, as stored. */
  reason: (english: string) => english,
}

export type ExplainTexts = typeof explainTexts

const longestShown = 100
/** A value, cut to fit a sentence. */
export const shortened = (json: string) =>
  json.length > longestShown ? `${json.slice(0, longestShown)}…` : json
