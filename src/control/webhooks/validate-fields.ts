import { type FilterFields, type FilterValue, isExactNumber, splitField } from '../../domain/event/filter.ts'
import { type Trigger, triggersFor } from '../../domain/event/trigger.ts'
import { because, type Reason } from '../../domain/shown/reason.ts'
import { nearest } from '../../domain/value/nearest.ts'
import {
  type ClientIdentity,
  type ShownCertificate,
  validateClientIdentity,
} from '../../domain/webhook/client-certificate.ts'
import type { changeHeaders, HeaderChange } from '../../domain/webhook/custom-headers.ts'
import { isMailAddress } from '../../domain/webhook/mail-address.ts'
import type { Batching, LogBodies, Mode, Webhook } from '../../domain/webhook/webhook.ts'
import type { Control } from '../kit/control.ts'
import { type FieldProblem, wrongField } from '../kit/result.ts'

/** An admin's settings; the caller checks types, this file the meaning. */
export type WebhookFields = {
  /** Absent: the caller's own. For an existing webhook it may be repeated but not changed. */
  readonly tenant?: string | null | undefined
  readonly name: string
  readonly url: string
  readonly isActive: boolean
  readonly triggers: readonly string[]
  readonly alertTo?: readonly string[] | undefined
  /** The file that it is managed by; null: changed by hand. */
  readonly managedBy?: string | null | undefined
  readonly previous?: boolean | undefined
  readonly traceparent?: boolean | undefined
  readonly updateFields?: readonly string[] | null | undefined
  readonly filter?: Webhook['filter'] | undefined
  readonly filterEntering?: Webhook['filterEntering'] | undefined
  readonly filterLeaving?: Webhook['filterLeaving'] | undefined
  readonly mode?: Mode | undefined
  readonly logBodies?: LogBodies | undefined
  readonly batch?: Batching | null | undefined
  readonly headers?: HeaderChange | undefined
  /** As PEM, both together; null for both: none. */
  readonly clientCertificate?: string | null | undefined
  readonly clientKey?: string | null | undefined
}

/** Field names by entity type. */
type Known = ReadonlyMap<string, readonly string[]>

/** Names such as `user.email` must be existing fields. */
export function validateUpdateFields(known: Known, wanted: readonly string[]): FieldProblem[] {
  return wanted.flatMap((name, i) => {
    const why = whyNoField(known, name)
    return why === null ? [] : [wrongField(`/update_fields/${i}`, why)]
  })
}

export function validateFilter(known: Known, filter: FilterFields): FieldProblem[] {
  return Object.entries(filter).flatMap(([name, value]) => {
    const pointer = filterPointer(name)
    const why = whyNoField(known, name)
    const problems = why === null ? [] : [wrongField(pointer, why)]
    if (!Array.isArray(value)) return [...problems, ...validateValue(pointer, value as FilterValue)]
    if (value.length === 0) problems.push(wrongField(pointer, because('filter.no_value', { field: name })))
    return [...problems, ...value.flatMap((each, i) => validateValue(`${pointer}/${i}`, each))]
  })
}

const filterPointer = (name: string) => `/filter/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`

const longestValue = 1_000

/** Refuses values that never match, or match something else. */
function validateValue(pointer: string, value: FilterValue): FieldProblem[] {
  if (typeof value === 'number' && !isExactNumber(value))
    return [wrongField(pointer, because('filter.number', { value: String(value) }))]
  if (typeof value !== 'string') return []
  if (value.length > longestValue)
    return [wrongField(pointer, because('filter.long', { characters: value.length, max: longestValue }))]
  return value.includes('\0') || !value.isWellFormed() ? [wrongField(pointer, because('filter.text'))] : []
}

/** The actions for entering and leaving entities must be triggers of the webhook. */
export function validateFilterForms({
  filter,
  filterEntering,
  filterLeaving,
  triggers,
}: Pick<Webhook, 'triggers' | 'filter' | 'filterEntering' | 'filterLeaving'>): FieldProblem[] {
  if (filter === null) return []
  const entityTypes = [...new Set(Object.keys(filter).map(name => splitField(name).entityType))]
  const problemOf = (pointer: string, action: string) => {
    const wanted = entityTypes.map(type => `${type}.${action}`)
    if (wanted.some(trigger => triggers.includes(trigger as never))) return []
    return [wrongField(pointer, because('filter.needs_trigger', { form: action, known: wanted }))]
  }
  return [
    ...(filterEntering === 'new' ? problemOf('/filter_entering', 'new') : []),
    ...(filterLeaving === 'nothing' ? [] : problemOf('/filter_leaving', filterLeaving)),
  ]
}

/** Null: the field exists. */
function whyNoField(known: Known, name: string): Reason | null {
  const names = [...known].flatMap(([entityType, fields]) => fields.map(field => `${entityType}.${field}`))
  if (names.includes(name)) return null
  const meant = nearest(name, names)
  const fields = known.get(name.split('.')[0]!)
  return meant
    ? because('webhook.field_meant', { field: name, meant })
    : fields
      ? because('webhook.field_of_entity', { field: name, fields })
      : because('webhook.field_form', { field: name, example: names[0] ?? 'user.email' })
}

export type ValidatedFields = { readonly problems: readonly FieldProblem[]; readonly url?: string }

/** The problems of the fields, and the URL as it was checked: parsers differ. */
export async function validateFields(
  control: Control,
  fields: { readonly [Field in keyof WebhookFields]?: WebhookFields[Field] | undefined },
): Promise<ValidatedFields> {
  const problems: FieldProblem[] = []
  const known = [...triggersFor(control.entityTypes), ...control.alerts]
  fields.alertTo?.forEach((address, i) => {
    if (!isMailAddress(address))
      problems.push(wrongField(`/alert_to/${i}`, because('webhook.mail_address', { address })))
  })
  fields.triggers?.forEach((trigger, i) => {
    if (!known.includes(trigger as Trigger))
      problems.push(wrongField(`/triggers/${i}`, because('webhook.trigger_unknown', { trigger, known })))
  })
  if (fields.updateFields || fields.filter) {
    const known = await control.readFields()
    problems.push(...validateUpdateFields(known, fields.updateFields ?? []))
    problems.push(...validateFilter(known, fields.filter ?? {}))
  }
  if (fields.url !== undefined) {
    const verdict = await control.checkTarget(fields.url)
    if (verdict.ok) return { problems, url: verdict.url.href }
    problems.push(wrongField('/url', verdict.why))
  }
  return { problems }
}

export type GivenIdentity = {
  /** Undefined: not given; null: none wanted. */
  readonly identity?: (ClientIdentity & { readonly shown: ShownCertificate }) | null
  readonly problems: readonly FieldProblem[]
}

/** The given certificate and key: both, or neither. */
export function validateIdentity(
  certificate: string | null | undefined,
  key: string | null | undefined,
): GivenIdentity {
  if (certificate === undefined && key === undefined) return { problems: [] }
  if (!certificate && !key) return { identity: null, problems: [] }
  if (!certificate) return { problems: [wrongField('/client_certificate', because('certificate.missing'))] }
  if (!key) return { problems: [wrongField('/client_key', because('certificate.key_missing'))] }
  const validated = validateClientIdentity({ certificate, key }, new Date())
  if (validated.ok) return { identity: { certificate, key, shown: validated.shown }, problems: [] }
  return {
    problems: validated.problems.map(({ field, reason }) => wrongField(`/client_${field}`, reason)),
  }
}

export function headerProblems(
  result: { readonly ok: true } | Extract<ReturnType<typeof changeHeaders>, { ok: false }>,
): FieldProblem[] {
  if (result.ok) return []
  return result.problems.map(({ name, reason }) =>
    wrongField(
      name === null ? '/headers' : `/headers/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      reason,
    ),
  )
}
