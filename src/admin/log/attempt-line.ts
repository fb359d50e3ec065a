import type { AttemptLine, LogLine } from '../../control/log/log.ts'
import { diagnose } from '../../domain/shown/diagnosis.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { aboutName, actionName, alertName, entityName } from '../kit/names.ts'
import type { Texts } from '../texts/en.ts'

/** The outcome in a word or two. A receiver that answers too late was reached. */
export function outcomeWord(t: Texts, attempt: Pick<AttemptLine, 'outcome' | 'errorClass'>): string {
  return attempt.errorClass === 'timeout' ? t.timedOut : t.outcomes[attempt.outcome]
}

/** `Refused (503)`. */
export function outcomeOf(t: Texts, line: Pick<AttemptLine, 'outcome' | 'errorClass' | 'status'>): Html {
  const { outcome, status } = line
  const kind = outcome === 'delivered' ? 'good' : 'bad'
  return html`<span class="outcome ${kind}">${outcomeWord(t, line)}${status !== null && ` (${status})`}</span>`
}

/** Why an attempt failed, in a sentence; null: it was delivered. */
export function reasonOf(t: Texts, line: AttemptLine): string | null {
  return line.outcome === 'delivered' ? null : t.diagnoses[diagnose(line)].what
}

/** `2 of 10`. The schedule may have become shorter since. */
export function countOf(t: Texts, number: number, max: number): string {
  return number > max ? String(number) : t.log.attemptOf(number, max)
}

/** The next attempt, as far as known; null: none follows. */
export function nextOf(
  t: Texts,
  {
    nextAttemptAt,
    outcome,
    trigger,
    isNext,
  }: Pick<LogLine, 'nextAttemptAt' | 'outcome' | 'trigger' | 'isNext'>,
  { isActive, disabledReason }: Pick<Webhook, 'isActive' | 'disabledReason'>,
  nowMs: number,
): Html | string | null {
  if (nextAttemptAt === null) return outcome === 'delivered' || trigger === 'test' ? null : t.log.noFurtherTry
  if (nextAttemptAt.getTime() <= nowMs || !isNext) return null
  return isActive && disabledReason === null ? moment(nextAttemptAt, 'distance') : t.log.waitsForWebhook
}

type Subject = Pick<AttemptLine, 'entityType' | 'entityId' | 'actionType' | 'eventIds'>

/** `User 7: update`, `25 events in one request`. */
export function subjectOf(t: Texts, { entityType, entityId, actionType, eventIds }: Subject): string {
  if (entityType === null || entityId === null) return t.log.batch(eventIds?.length ?? 0)
  const alert = alertName(t, entityType, actionType ?? '')
  if (alert !== null) return `${alert} (${aboutName(t, entityType)} ${entityId})`
  return `${entityName(t, entityType)} ${entityId}: ${actionName(t, actionType ?? '')}`
}
