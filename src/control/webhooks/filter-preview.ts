import type { Filter } from '../../domain/event/filter.ts'
import { sentAction, triggersHeard } from '../../domain/event/wanted.ts'
import { recentEvents } from '../../outbox/reading/recent-events.ts'
import type { Caller, Control } from '../kit/control.ts'
import type { Result } from '../kit/result.ts'
import { invalid } from '../kit/result.ts'
import { validateFilter, validateUpdateFields } from './validate-fields.ts'

/** What these settings would have sent of the newest events. */
export type FilterPreview = {
  readonly lookedAt: number
  readonly matched: number
}

const max = 100

/**
 * Counts the newest events, at most 100, that the webhook would get and that a filter lets through. The work is bounded,
 * whatever the log's length and the events' size.
 */
export async function previewFilter(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  settings: Filter & {
    readonly triggers: readonly string[]
    readonly updateFields: readonly string[] | null
  },
): Promise<Result<FilterPreview>> {
  const { triggers, updateFields, fields, entering, leaving } = settings
  const known = await control.readFields()
  const problems = [...validateUpdateFields(known, updateFields ?? []), ...validateFilter(known, fields)]
  if (problems.length > 0) return invalid(...problems)
  const filter = { fields, entering, leaving }
  const state = { version: 0, isActive: true, triggers, updateFields, filter }
  // Updates without a trigger only count if they may be sent as another action.
  const isSentOtherwise = entering !== 'update' || leaving === 'delete'
  const heard = isSentOtherwise ? triggersHeard(state) : triggers
  const events = await recentEvents(control.outbox, { triggers: heard, max, tenant: caller.tenant })
  const matched = events.filter(
    event => sentAction({ id: 0, tenant: caller.tenant, states: [state] }, event) !== null,
  ).length
  return { ok: true, value: { lookedAt: events.length, matched } }
}
