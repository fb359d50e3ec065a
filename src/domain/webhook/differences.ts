import { redacted } from '../shown/redact.ts'
import type { Webhook } from './webhook.ts'

/** A changed setting, by its name in the API. A secret is only shown as changed. */
export type Difference = { readonly field: string; readonly from?: unknown; readonly to?: unknown }

/** The settings that are compared directly. */
export type Settings = Pick<
  Webhook,
  | 'url'
  | 'isActive'
  | 'triggers'
  | 'alertTo'
  | 'previous'
  | 'traceparent'
  | 'updateFields'
  | 'filter'
  | 'filterEntering'
  | 'filterLeaving'
  | 'mode'
  | 'batch'
  | 'logBodies'
  | 'managedBy'
>

/** Each setting as the API writes it. The order of lists has no meaning. */
const written: { readonly [Name in keyof Settings]: [name: string, (value: Settings[Name]) => unknown] } = {
  url: ['url', value => value],
  isActive: ['is_active', value => value],
  triggers: ['triggers', sorted],
  alertTo: ['alert_to', sorted],
  previous: ['previous', value => value],
  traceparent: ['traceparent', value => value],
  updateFields: ['update_fields', value => value && sorted(value)],
  filter: ['filter', value => value && Object.fromEntries(Object.entries(value).sort(byName))],
  filterEntering: ['filter_entering', value => value],
  filterLeaving: ['filter_leaving', value => value],
  mode: ['mode', value => value],
  batch: ['batch', value => value && { max_events: value.maxEvents, max_wait_ms: value.maxWaitMs }],
  logBodies: ['log_bodies', value => value],
  managedBy: ['managed_by', value => value],
}

/**
 * The differences between a webhook's settings (null: no webhook) and the wanted ones, with the names of the changed
 * settings.
 */
export function differencesOf(
  before: Settings | null,
  wanted: Settings,
): { readonly differences: readonly Difference[]; readonly changed: readonly (keyof Settings)[] } {
  const differences: Difference[] = []
  const changed: (keyof Settings)[] = []
  for (const name of Object.keys(written) as (keyof Settings)[]) {
    const [field, write] = written[name] as [string, (value: unknown) => unknown]
    const to = write(wanted[name])
    const from = before && write(before[name])
    if (before && JSON.stringify(from) === JSON.stringify(to)) continue
    changed.push(name)
    if (before) differences.push({ field, from, to })
    else if (!isNothing(to)) differences.push({ field, to })
  }
  return { differences, changed }
}

/** Removed, added and changed headers. `before` null: unreadable, so each counts as changed. */
export function headerDifferences(
  names: readonly string[],
  before: Readonly<Record<string, string>> | null,
  wanted: Readonly<Record<string, string>>,
): Difference[] {
  const all = Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name.toLowerCase(), value]))
  const gone = names
    .filter(name => !(name in all))
    .map(name => ({ field: `headers.${name}`, from: redacted }))
  const others = Object.entries(all).flatMap(([name, value]): Difference[] => {
    if (!names.includes(name)) return [{ field: `headers.${name}`, to: redacted }]
    if (value === redacted || before?.[name] === value) return []
    return [{ field: `headers.${name}`, from: redacted, to: `${redacted} (another)` }]
  })
  return [...gone, ...others]
}

/** A default value is not listed for a new webhook. */
const isNothing = (value: unknown) =>
  value === null || value === false || (Array.isArray(value) && value.length === 0)

function sorted(values: readonly string[]): readonly string[] {
  return values.toSorted()
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1)
