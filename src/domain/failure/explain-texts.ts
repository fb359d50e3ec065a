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

export type ExplainTexts = {
  delivered(at: string, attempt: number): string
  deliveredBefore(at: string): string
  lastTried(at: string, attempt: number): string
  noTrace(): string
  inFlight(): string
  behindInFlight(of: Behind): string
  behindRetried(of: Behind, at: string): string
  behindDue(of: Behind): string
  behindFirst(of: Behind): string
  blocked(): string
  notAccepted(): string
  nextAttempt(attempt: number, at: string): string
  inactive(): string
  disabled(at: string | null): string
  held(until: string): string
  next(): string
  noProcess(): string
  catchingUp(): string
  dead(at: string, attempts: number): string
  lastFailure(reason: string): string
  canBeResent(): string
  superseded(by: TimeId | null): string
  cancelled(at: string, attempts: number): string
  otherTenant(): string
  madeLater(at: string): string
  forAnother(webhookId: number): string
  inactiveThen(): string
  disabledThen(): string
  asItIsNow(): string
  filtered(mismatch: Mismatch): string
  notSubscribed(trigger: string): string
  noWantedField(changed: readonly string[], wanted: readonly string[]): string
  alertNotSubscribed(trigger: string): string
  alertForOthers(): string
  /** Why an attempt failed, or a webhook was disabled, as stored. */
  reason(english: string): string
}

const count = (attempts: number) => (attempts === 1 ? 'one attempt' : `${attempts || 'no'} attempts`)
const behind = ({ event, entityType }: Behind, what: string) =>
  `Waits behind event ${event} of the same ${entityType}, ${what}: each entity's events are sent in their order.`

export const explainTexts: ExplainTexts = {
  delivered: (at, attempt) => `Delivered at ${at}, by attempt ${attempt}.`,
  deliveredBefore: at => `It had been delivered before, at ${at}.`,
  lastTried: (at, attempt) =>
    `Last tried at ${at}, attempt ${attempt}, and not accepted. It is not in the queue any more.`,
  noTrace: () =>
    'The webhook asked for it, and no trace is left: it was sent so long ago that its log is no longer kept, or the webhook was changed at about the time of the event.',
  inFlight: () => 'On its way at this moment: the receiver has not answered yet.',
  behindInFlight: of => behind(of, 'which is on its way'),
  behindRetried: (of, at) => behind(of, `which is tried again at ${at}`),
  behindDue: of => behind(of, 'which is due'),
  behindFirst: of => behind(of, 'which is sent first'),
  blocked: () => 'Not sent, because its address is not allowed.',
  notAccepted: () => 'Not accepted yet.',
  nextAttempt: (attempt, at) => `Attempt ${attempt} follows at ${at}.`,
  inactive: () => 'Waits until the webhook is activated again: an admin has set it inactive.',
  disabled: at =>
    `Waits until the webhook is activated again: it was disabled${at === null ? '' : ` at ${at}`}.`,
  held: until => `Is sent when the receiver takes requests again: it asked for none before ${until}.`,
  next: () => 'Is next, and is sent as soon as the webhook has room for another request.',
  noProcess: () => 'Is sent as soon as a process of walhook delivers: none does at this moment.',
  catchingUp: () => 'Waits for its turn: the webhook is behind, and is sent what came before it first.',
  dead: (at, attempts) => `Given up at ${at} after ${count(attempts)}.`,
  lastFailure: reason => `The last one: ${reason}`,
  canBeResent: () => 'It can be sent again by hand.',
  superseded: by => `Superseded by event ${by}: the webhook wants only the latest state of each entity.`,
  cancelled: (at, attempts) => `Cancelled by an admin at ${at}, after ${count(attempts)}.`,
  otherTenant: () => 'Not sent: the event is not of the tenant of this webhook.',
  madeLater: at => `Not sent: the webhook was made at ${at}, after the event. It can be replayed.`,
  forAnother: id => `Not sent: the event was made for webhook ${id} only, by a backfill.`,
  inactiveThen: () => 'Not sent: the webhook was not active then.',
  disabledThen: () => 'Not sent: the webhook was disabled then.',
  asItIsNow: () => 'That is how it is set now; how it was then is not recorded.',
  filtered({ field, json, isOver, wanted, hasLeft }) {
    const is = json === null ? 'is not in the event' : `${isOver ? 'was' : 'is'} ${json}`
    const left = hasLeft ? ' It matched before, and the webhook is not told who leaves.' : ''
    return `Not sent: ${field} ${is}, and the filter wants ${shortened(wanted.join(' or '))}.${left}`
  },
  notSubscribed: trigger => `Not sent: the webhook did not ask for ${trigger}.`,
  noWantedField: (changed, wanted) =>
    `Not sent: the update changed ${changed.join(', ') || 'no field'}, and the webhook asked for updates of ${wanted.join(', ')} only.`,
  alertNotSubscribed: trigger => `Not sent: the webhook does not ask for ${trigger}.`,
  alertForOthers: () =>
    'Not sent: an alert goes to the webhooks that are active and have the trigger when it is told, but not to the one that it is about.',
  reason: english => english,
}

const longestShown = 100
/** A value, cut to fit a sentence. */
export const shortened = (json: string) =>
  json.length > longestShown ? `${json.slice(0, longestShown)}…` : json
