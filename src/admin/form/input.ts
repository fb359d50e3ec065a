import type { FieldProblem } from '../../control/kit/result.ts'
import type { WebhookFields } from '../../control/webhooks/webhooks.ts'
import { alertTriggers } from '../../domain/event/alert.ts'
import { actionTypes } from '../../domain/event/event.ts'
import { enteringForms, leavingForms } from '../../domain/event/filter.ts'
import { tenantIn } from '../../domain/event/tenant.ts'
import { triggersFor } from '../../domain/event/trigger.ts'
import { nameIn } from '../../domain/input/name.ts'
import { redacted } from '../../domain/shown/redact.ts'
import { type LogBodies, logBodies, type Webhook } from '../../domain/webhook/webhook.ts'
import type { Texts } from '../texts/en.ts'
import { reasonText } from '../texts/texts.ts'
import {
  blankFilter,
  filterTyped,
  isIncomplete,
  readFilter,
  type TypedFilter,
  typedFilterOf,
} from './filter-field.ts'

/** A typed header. A stored value is never shown: left empty, it stays. */
type TypedHeader = { readonly name: string; readonly value: string; readonly isStored: boolean }

/** The typed form of a webhook, valid or not. */
export type Typed = {
  readonly name: string
  /** Of a new webhook; empty for none. */
  readonly tenant: string
  readonly url: string
  readonly isActive: boolean
  readonly triggers: readonly string[]
  /** The typed addresses. Undefined: the form has no such field, and the value stays. */
  readonly alertTo: string | undefined
  readonly previous: boolean
  readonly traceparent: boolean
  readonly updateFields: readonly string[]
  /** Undefined: the form has no such field, and the value stays. */
  readonly filter: TypedFilter | undefined
  readonly isLatest: boolean
  /** Undefined: the form has no such field, and the value stays. */
  readonly logBodies: LogBodies | undefined
  readonly isBatch: boolean
  readonly maxEvents: string
  readonly maxWaitMs: string
  readonly headers: readonly TypedHeader[]
  /** As PEM; both empty: the stored ones stay. */
  readonly clientCertificate: string
  readonly clientKey: string
  /** Removes the stored certificate. */
  readonly noCertificate: boolean
  /** The account whose data a test sends; empty: the user's own. */
  readonly userId: string
}

export const blank: Typed = {
  name: '',
  tenant: '',
  url: '',
  isActive: true,
  triggers: [],
  alertTo: '',
  previous: false,
  traceparent: false,
  updateFields: [],
  filter: blankFilter,
  isLatest: false,
  logBodies: 'all',
  isBatch: false,
  maxEvents: '100',
  maxWaitMs: '1000',
  headers: [],
  clientCertificate: '',
  clientKey: '',
  noCertificate: false,
  userId: '',
}

/** A webhook's form before typing. */
export function typedOf(webhook: Webhook): Typed {
  return {
    ...blank,
    name: webhook.name,
    url: webhook.url,
    isActive: webhook.isActive && webhook.disabledReason === null,
    triggers: webhook.triggers,
    alertTo: webhook.alertTo.join(', '),
    previous: webhook.previous,
    traceparent: webhook.traceparent,
    updateFields: webhook.updateFields ?? [],
    filter: {
      rows: typedFilterOf(webhook.filter),
      entering: webhook.filterEntering,
      leaving: webhook.filterLeaving,
    },
    isLatest: webhook.mode === 'latest',
    logBodies: webhook.logBodies,
    isBatch: webhook.batch !== null,
    ...(webhook.batch && {
      maxEvents: String(webhook.batch.maxEvents),
      maxWaitMs: String(webhook.batch.maxWaitMs),
    }),
    headers: webhook.headerNames.map(name => ({ name, value: '', isStored: true })),
  }
}

/** Reads the form. A chosen row or column of triggers stands for each of its triggers. */
export function readTyped(
  form: URLSearchParams,
  entityTypes: readonly string[],
  stored: readonly string[],
): Typed {
  const all = form.getAll('all')
  const wanted = new Set(form.getAll('trigger'))
  const chosen = triggersFor(entityTypes).filter(trigger => {
    const [entityType = '', action] = trigger.split('.')
    return wanted.has(trigger) || all.includes(entityType) || all.includes(`.${action}`)
  })
  // Alerts are chosen one by one: "all of everything" excludes them.
  const triggers = [...chosen, ...alertTriggers.filter(trigger => wanted.has(trigger))]
  const values = form.getAll('header_value')
  const headers = form
    .getAll('header_name')
    .map((name, i) => ({ name: name.trim(), value: (values[i] ?? '').trim() }))
    .filter(({ name, value }) => name !== '' || value !== '')
    .map(header => ({ ...header, isStored: stored.includes(header.name.toLowerCase()) }))
  return {
    name: nameIn(form.get('name') ?? ''),
    tenant: tenantIn(form),
    url: text(form, 'url'),
    isActive: form.get('is_active') === 'true',
    triggers,
    alertTo: form.has('alert_to') ? text(form, 'alert_to') : undefined,
    previous: form.has('previous'),
    traceparent: form.has('traceparent'),
    updateFields: form.getAll('update_field'),
    filter: readFilter(form),
    isLatest: form.has('latest'),
    logBodies: logBodies.find(one => one === form.get('log_bodies')),
    isBatch: form.has('batch'),
    maxEvents: text(form, 'max_events'),
    maxWaitMs: text(form, 'max_wait_ms'),
    headers,
    clientCertificate: text(form, 'client_certificate'),
    clientKey: text(form, 'client_key'),
    noCertificate: form.has('no_certificate'),
    userId: text(form, 'user_id'),
  }
}

const once = [
  ...[
    'key',
    'version',
    'name',
    'tenant',
    'url',
    'is_active',
    'alert_to',
    'previous',
    'traceparent',
    'latest',
    'log_bodies',
    'batch',
    'max_events',
  ],
  ...[
    'max_wait_ms',
    'client_certificate',
    'client_key',
    'no_certificate',
    'user_id',
    'filter_entering',
    'filter_leaving',
  ],
]
const several = [
  'trigger',
  'all',
  'update_field',
  'header_name',
  'header_value',
  'filter_field',
  'filter_values',
  'filter_was',
]
const switches = ['previous', 'traceparent', 'latest', 'batch', 'no_certificate']

/**
 * The name of a field that the form never sends in this way, or null: it is unknown, repeated, or not one of its options.
 * Guessing could be harmful: `no_certificate=false` must not remove a certificate.
 */
export function wrongFieldOf(form: URLSearchParams, entityTypes: readonly string[]): string | null {
  const values: Readonly<Record<string, readonly string[]>> = {
    ...Object.fromEntries(switches.map(name => [name, ['on', 'true']])),
    is_active: ['true', 'false'],
    log_bodies: logBodies,
    filter_entering: enteringForms,
    filter_leaving: leavingForms,
    trigger: [...triggersFor(entityTypes), ...alertTriggers],
    all: [...entityTypes, ...actionTypes.map(action => `.${action}`)],
  }
  const isWrong = (name: string, value: string) =>
    !(several.includes(name) || (once.includes(name) && form.getAll(name).length === 1)) ||
    (Object.hasOwn(values, name) && !values[name]!.includes(value))
  return [...form].find(([name, value]) => isWrong(name, value))?.[0] ?? null
}

const text = (form: URLSearchParams, name: string) => (form.get(name) ?? '').trim()

/** A field's problem, in the reader's language. */
export type ShownProblem = Pick<FieldProblem, 'pointer' | 'detail'>

export function shownProblems(t: Texts, problems: readonly FieldProblem[]): ShownProblem[] {
  return problems.map(({ pointer, reason }) => ({ pointer, detail: reasonText(t, reason) }))
}

/** The problems that the form itself finds; `control/` finds the others. */
export function validateTyped(t: Texts, typed: Typed): ShownProblem[] {
  const { wrong } = t.form
  const problems: ShownProblem[] = []
  const add = (pointer: string, detail: string) => problems.push({ pointer, detail })
  if (typed.name === '') add('/name', wrong.noName)
  if (typed.name.length > 200) add('/name', wrong.longName)
  if (/\0/.test(typed.name) || !typed.name.isWellFormed()) add('/name', wrong.strangeName)
  const urlProblem = validateUrl(t, typed.url)
  if (urlProblem !== null) add('/url', urlProblem)
  if (typed.triggers.length === 0) add('/triggers', wrong.noTriggers)
  if (typed.filter?.rows.some(isIncomplete)) add('/filter', wrong.filter)
  if (typed.isBatch) {
    if (!isWhole(typed.maxEvents, 2, 1_000)) add('/batch/max_events', wrong.maxEvents)
    if (!isWhole(typed.maxWaitMs, 0, 60_000)) add('/batch/max_wait_ms', wrong.maxWaitMs)
  }
  return problems
}

/** What is wrong with a URL before it is checked as a target, or null. */
export function validateUrl(t: Texts, url: string): string | null {
  if (url === '') return t.form.wrong.noUrl
  return url.length > 2_048 ? t.form.wrong.longUrl : null
}

function isWhole(value: string, least: number, max: number): boolean {
  return /^\d{1,6}$/.test(value) && Number(value) >= least && Number(value) <= max
}

/** The typed form as input of `control/`. `stored`: the names of the webhook's headers; those no longer typed are removed. */
export function chosen(typed: Typed, stored: readonly string[]): WebhookFields {
  const { name, url, isActive, triggers, previous, traceparent, updateFields, isLatest, isBatch } = typed
  return {
    name,
    url,
    isActive,
    triggers,
    alertTo: typed.alertTo?.split(/[\s,;]+/).filter(one => one !== ''),
    previous,
    traceparent,
    updateFields: updateFields.length > 0 ? updateFields : null,
    ...(typed.filter && {
      filter: filterTyped(typed.filter),
      filterEntering: typed.filter.entering,
      filterLeaving: typed.filter.leaving,
    }),
    mode: isLatest ? 'latest' : 'every',
    logBodies: typed.logBodies,
    batch: isBatch ? { maxEvents: Number(typed.maxEvents), maxWaitMs: Number(typed.maxWaitMs) } : null,
    headers: headerChange(typed, stored),
    ...certificateChange(typed),
  }
}

/** The typed change of a client certificate; nothing if the stored one stays. */
export function certificateChange({ clientCertificate, clientKey, noCertificate }: Typed) {
  if (clientCertificate !== '' || clientKey !== '') return { clientCertificate, clientKey }
  return noCertificate ? { clientCertificate: null, clientKey: null } : {}
}

export function headerChange(typed: Typed, stored: readonly string[]): Record<string, string | null> {
  const names = typed.headers.map(({ name }) => name.toLowerCase())
  return Object.fromEntries([
    ...stored.filter(name => !names.includes(name)).map(name => [name, null] as const),
    ...typed.headers.map(
      ({ name, value, isStored }) => [name, value === '' && isStored ? redacted : value] as const,
    ),
  ])
}
