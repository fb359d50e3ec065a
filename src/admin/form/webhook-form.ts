import type { FilterPreview } from '../../control/webhooks/filter-preview.ts'
import type { Preview } from '../../control/webhooks/preview.ts'
import type { MailProblem } from '../../domain/alert/recipient.ts'
import type { AlertTrigger } from '../../domain/event/alert.ts'
import { actionTypes } from '../../domain/event/event.ts'
import type { WithoutPrevious } from '../../domain/mapping/without-previous.ts'
import { prettyJson } from '../../domain/value/pretty-json.ts'
import type { ShownCertificate } from '../../domain/webhook/client-certificate.ts'
import { logBodies } from '../../domain/webhook/webhook.ts'
import { errorAttributes, errorSummary, errorText, type FieldError } from '../kit/errors.ts'
import { type Html, html, problemText } from '../kit/html.ts'
import { actionName, entityName } from '../kit/names.ts'
import { headerList } from '../log/attempt-view.ts'
import type { Texts } from '../texts/en.ts'
import { alertField } from './alert-field.ts'
import { certificateField } from './certificate-field.ts'
import { fieldErrors } from './error-fields.ts'
import { blankFilter, filterField, filterPreviewPart } from './filter-field.ts'
import type { ShownProblem, Typed } from './input.ts'

/** The inputs of the form besides the typed values. */
type FormAt = {
  readonly t: Texts
  /** Null for a new webhook. */
  readonly id: number | null
  readonly version: number
  /** The idempotency key of a new webhook's form. */
  readonly key: string
  readonly typed: Typed
  readonly problems: readonly ShownProblem[]
  readonly entityTypes: readonly string[]
  readonly alerts: readonly AlertTrigger[]
  /** What emails about this webhook lack. */
  readonly mailProblems: MailProblem | null
  /** Whether the reader chooses the tenant of a new webhook. */
  readonly choosesTenant: boolean
  readonly fields: ReadonlyMap<string, readonly string[]>
  readonly previews: readonly Preview[]
  /** Null: no filter, or an incomplete one. */
  readonly filterPreview: FilterPreview | null
  /** The entity types whose tables do not record the values before an update. */
  readonly withoutPrevious: WithoutPrevious
  /** The reader's own account, the default for tests. */
  readonly ownUserId: string | null
  /** Whether there are accounts whose data a test may send. */
  readonly hasAccounts: boolean
  /** The result of a test; empty before it. */
  readonly tried: Html
  /** Whether the reader may change anything; otherwise the form is read-only. */
  readonly mayChange: boolean
  /** The stored client certificate. */
  readonly certificate: ShownCertificate | null
}

type At = FormAt & { readonly errors: readonly FieldError[] }

/** The form of a new or existing webhook. */
export function webhookForm(given: FormAt): Html {
  const at = { ...given, errors: fieldErrors(given.problems, given.typed) }
  const { t, id, typed, errors } = at
  const base = id === null ? '/couplings/new' : `/couplings/${id}`
  const f = t.form
  return html`<form method="post" action="${base}" class="coupling-form" novalidate${at.mayChange && html` data-validate="${id === null ? '/couplings/validate' : `/couplings/${id}/validate`}"`}>
<input type="hidden" name="version" value="${at.version}"><input type="hidden" name="key" value="${at.key}">
${at.mayChange && defaultButton(id === null ? f.create : f.save)}
${errorSummary(f.someWrong, errors)}<fieldset class="plain"${!at.mayChange && html` disabled`}>
<section class="card grid">
${textField(at, { name: 'name', label: f.name, hint: f.nameHint, value: typed.name, isNeeded: true })}
${id === null && tenantField(at, { isChosen: at.choosesTenant, tenant: typed.tenant, errors })}
<fieldset class="choice"><legend>${f.isActive}</legend>
<label><input type="radio" name="is_active" value="true"${typed.isActive && html` checked`}> ${f.active}</label>
<label><input type="radio" name="is_active" value="false"${!typed.isActive && html` checked`}> ${f.inactive}</label>
</fieldset>
<div class="field">
<label for="url">${f.url}</label>
<input id="url" name="url" type="url" inputmode="url" value="${typed.url}" placeholder="https://" autocomplete="off" spellcheck="false" aria-describedby="url-hint url-problem"${errors.some(({ field }) => field === 'url') && html` aria-invalid="true"`} hx-post="/couplings/check-url" hx-trigger="change" hx-target="#url-problem">
<p class="hint" id="url-hint">${f.urlHint}</p>
<div id="url-problem" aria-live="polite" data-verdict="url">${errors.filter(({ field }) => field === 'url').map(({ detail }) => problemText(detail))}</div>
</div>
</section>
<section class="card grid">${triggerGrid(at)}</section>
<section class="card">${alertField(t, at.alerts, typed, errors, at.mailProblems)}</section>
<section class="card">${more(at)}</section>
</fieldset>
${at.mayChange && trySection(at)}
<section class="card">
<h2>${f.previewTitle}</h2>
<p class="hint">${f.previewHint} ${t.catalogue.fromForm} <a href="/catalogue">${t.sections.catalogue}</a>.</p>
${id !== null && html`<p><a href="/couplings/${id}/schema" download>${t.catalogue.downloadOfWebhook}</a></p>`}
<div id="preview"${at.mayChange && html` hx-post="/couplings/preview" hx-trigger="change from:'closest form' delay:150ms"`}>${filterPreviewPart(t, at.filterPreview)}${previewParts(t, at.previews)}</div>
</section>
${
  at.mayChange &&
  html`<div class="end stays"><button class="main">${id === null ? f.create : f.save}</button><a class="button" href="/couplings">${f.cancel}</a>${id !== null && html`<a class="button danger apart" href="/couplings/${id}/delete">${f.delete}</a>`}</div>`
}
</form>`
}

/** The tenant of a new webhook or token. Without a choice, a hidden field: another tab may have changed the session since. */
export function tenantField(
  { t }: Pick<FormAt, 't'>,
  at: { readonly isChosen: boolean; readonly tenant: string; readonly errors: readonly FieldError[] },
): Html {
  const { isChosen, tenant, errors } = at
  if (!isChosen)
    return html`<input type="hidden" id="tenant" name="tenant" value="${tenant}">${errorText(errors, 'tenant')}`
  return textField(
    { errors },
    { name: 'tenant', label: t.tenants.field, hint: t.tenants.fieldHint, value: tenant },
  )
}

/** The target of Enter, which presses the form's first button: otherwise the one that sends a test. */
function defaultButton(text: string): Html {
  return html`<button class="unseen" tabindex="-1" aria-hidden="true">${text}</button>`
}

/** Checked by the browser while typing: not empty. */
export const needed = html` required pattern=".*\\S.*" data-local`

function textField(
  { errors }: Pick<At, 'errors'>,
  field: { name: string; label: string; hint: string; value: string; isNeeded?: boolean },
): Html {
  const { name, label, hint, value, isNeeded = false } = field
  return html`<div class="field">
<label for="${name}">${label}</label>
<input id="${name}" name="${name}" value="${value}" autocomplete="off"${isNeeded && needed}${errorAttributes(errors, name, `${name}-hint`)}>
<p class="hint" id="${name}-hint">${hint}</p>
${errorText(errors, name)}
</div>`
}

function isAt(problem: ShownProblem, pointer: string): boolean {
  return problem.pointer === pointer || problem.pointer.startsWith(`${pointer}/`)
}
const hasProblem = ({ problems }: FormAt, pointer: string) => problems.some(one => isAt(one, pointer))

function triggerGrid(at: At): Html {
  const { t, entityTypes, typed, errors } = at
  const first = `${entityTypes[0]}.${actionTypes[0]}`
  const box = (name: string, value: string, label: string, isOn: boolean) =>
    html`<label class="cell"><input type="checkbox" name="${name}" value="${value}"${value === first && html` id="triggers"`}${isOn && html` checked`} data-local${errorAttributes(errors, 'triggers')}><span class="unseen">${label}</span></label>`
  return html`<fieldset class="plain triggers"><legend><h2>${t.form.triggers}</h2></legend>
<p class="hint">${t.form.triggersHint}</p>
<table class="grid-table" data-grid><thead><tr><td></td>${actionTypes.map(
    action => html`<th scope="col">${actionName(t, action)}</th>`,
  )}<th scope="col">${t.form.all}</th></tr></thead>
<tbody>${entityTypes.map(
    entityType =>
      html`<tr><th scope="row">${entityName(t, entityType)}</th>${actionTypes.map(
        action =>
          html`<td>${box('trigger', `${entityType}.${action}`, `${entityName(t, entityType)}: ${actionName(t, action)}`, typed.triggers.includes(`${entityType}.${action}`))}</td>`,
      )}<td class="all">${box('all', entityType, t.form.allOfEntity(entityName(t, entityType)), false)}</td></tr>`,
  )}
<tr class="all"><th scope="row">${t.form.all}</th>${actionTypes.map(
    action => html`<td>${box('all', `.${action}`, t.form.allOfAction(actionName(t, action)), false)}</td>`,
  )}<td></td></tr></tbody></table>
${errorText(errors, 'triggers')}
</fieldset>`
}

const spareRows = 2
/** A number, checked by the browser. */
const within = (pattern: string) => html` required pattern="${pattern}" data-local`

function more(at: At): Html {
  const { t, typed, fields, errors } = at
  const f = t.form
  const isUsed =
    typed.previous ||
    typed.traceparent ||
    typed.isLatest ||
    typed.isBatch ||
    (typed.logBodies ?? 'all') !== 'all' ||
    typed.headers.length > 0 ||
    at.certificate !== null ||
    typed.updateFields.length > 0 ||
    (typed.filter?.rows.length ?? 0) > 0
  const isOpen =
    isUsed ||
    [
      ...['/headers', '/batch', '/update_fields', '/client_certificate', '/client_key'],
      ...['/filter', '/filter_entering', '/filter_leaving'],
    ].some(pointer => hasProblem(at, pointer))
  const rows = [
    ...typed.headers,
    ...Array.from({ length: spareRows }, () => ({ name: '', value: '', isStored: false })),
  ]
  const check = (name: string, isOn: boolean, label: string, hint: string) =>
    html`<div class="check"><input type="checkbox" id="${name}" name="${name}"${isOn && html` checked`} aria-describedby="${name}-hint"><label for="${name}">${label}</label><p class="hint" id="${name}-hint">${hint}</p></div>`
  return html`<details${isOpen && html` open`}><summary><h2>${f.more}</h2><span class="hint">${f.moreHint}</span></summary>
<div class="grid">
<fieldset class="plain"><legend>${f.headers}</legend><p class="hint">${f.headersHint}</p>
${rows.map(
  ({ name, value, isStored }, i) =>
    html`<div class="pair"><input id="header_name-${i}" name="header_name" value="${name}" placeholder="${f.headerName}" aria-label="${f.headerName}" autocomplete="off" spellcheck="false"${errorAttributes(errors, `header_name-${i}`)}><input name="header_value" value="${value}" placeholder="${isStored ? f.headerKept : f.headerValue}" aria-label="${name === '' ? f.headerValue : f.headerValueOf(name)}" autocomplete="off" spellcheck="false"${errorAttributes(errors, `header_name-${i}`)}></div>${errorText(errors, `header_name-${i}`)}`,
)}
</fieldset>
${certificateField(t, at.certificate, typed, errors)}
${check('previous', typed.previous, f.previous, f.previousHint)}${previousNotice(at)}
${check('traceparent', typed.traceparent, f.traceparent, f.traceparentHint)}
${check('latest', typed.isLatest, f.latest, f.latestHint)}
${check('batch', typed.isBatch, f.batch, f.batchHint)}
<div class="pair indent">
<div class="field"><label for="max_events">${f.maxEvents}</label><input id="max_events" name="max_events" inputmode="numeric" value="${typed.maxEvents}"${within('[2-9]|[1-9]\\d{1,2}|1000')}${errorAttributes(errors, 'max_events')}>${errorText(errors, 'max_events')}</div>
<div class="field"><label for="max_wait_ms">${f.maxWaitMs}</label><input id="max_wait_ms" name="max_wait_ms" inputmode="numeric" value="${typed.maxWaitMs}"${within('\\d{1,4}|[1-5]\\d{4}|60000')}${errorAttributes(errors, 'max_wait_ms')}>${errorText(errors, 'max_wait_ms')}</div>
</div>
<div class="field"><label for="log_bodies">${f.logBodies}</label><select id="log_bodies" name="log_bodies" aria-describedby="log_bodies-hint">${logBodies.map(one => html`<option value="${one}"${one === (typed.logBodies ?? 'all') && html` selected`}>${f.logBodiesOf[one]}</option>`)}</select><p class="hint" id="log_bodies-hint">${f.logBodiesHint}</p></div>
<fieldset class="plain"><legend>${f.updateFields}</legend><p class="hint">${f.updateFieldsHint}</p>
${[...fields].map(
  ([entityType, names], group) =>
    html`<p class="group-name">${entityName(t, entityType)}</p><div class="names">${names.map(
      (name, i) =>
        html`<label><input type="checkbox"${group === 0 && i === 0 && html` id="update_fields"${errorAttributes(errors, 'update_fields')}`} name="update_field" value="${entityType}.${name}"${typed.updateFields.includes(`${entityType}.${name}`) && html` checked`}> <code>${name}</code></label>`,
    )}</div>`,
)}
${errorText(errors, 'update_fields')}
</fieldset>
${filterField(at, typed.filter ?? blankFilter)}
</div></details>`
}

/** A warning: the tables of these entity types record no previous values. */
function previousNotice({ t, withoutPrevious }: FormAt): Html | false {
  if (withoutPrevious.size === 0) return false
  const names = [...withoutPrevious.keys()].map(entityType => entityName(t, entityType)).join(', ')
  const sql = [...withoutPrevious.values()].filter(one => one !== null)
  const isWhole = sql.length === withoutPrevious.size
  return html`<p class="notice warn">${t.form.withoutPrevious(names)} ${sql.length > 0 && html`${t.form.previousSql} <code>${sql.join(' ')}</code> `}${!isWhole && t.form.previousCheck}</p>`
}

function trySection(at: At): Html {
  const { t, id, typed, ownUserId, errors } = at
  const address = id === null ? '/couplings/try' : `/couplings/${id}/try`
  return html`<section class="card grid">
<h2>${t.form.tryTitle}</h2>
<p class="hint">${t.form.tryHint} ${id === null && t.form.tryUnsigned}</p>
<div class="row">
${userField(t, ownUserId, typed.userId, errors, at.hasAccounts)}
<button class="busy" formaction="${address}" hx-post="${address}" hx-target="#tried" hx-disable="this">${t.form.try}</button>
</div>
<div id="tried" aria-live="polite">${at.tried}</div>
</section>`
}

/** The account whose data a test sends, where there are accounts. */
export function userField(
  t: Texts,
  ownUserId: string | null,
  userId: string,
  errors: readonly FieldError[],
  hasAccounts: boolean,
): Html {
  if (!hasAccounts) return html`<p class="hint">${t.test.example}</p>`
  const placeholder = ownUserId === null ? t.test.noOwnAccount : t.test.ownAccount(ownUserId)
  return html`<div class="field"><label for="user_id">${t.test.userId}</label>
<input id="user_id" name="user_id" value="${userId}" placeholder="${placeholder}" autocomplete="off"${errorAttributes(errors, 'user_id', 'user_id-hint')}>
<p class="hint" id="user_id-hint">${ownUserId === null ? t.test.userIdNeeded : t.test.userIdHint}</p>${errorText(errors, 'user_id')}</div>`
}

/** Example requests, one per trigger, the first one open. */
export function previewParts(t: Texts, previews: readonly Preview[]): Html {
  if (previews.length === 0) return html`<p class="quiet">${t.form.previewNone}</p>`
  return html`${previews.map(
    ({ trigger, headers, body }, i) =>
      html`<details class="preview"${i === 0 && html` open`}><summary><code>${trigger}</code></summary><p class="hint"><a href="/catalogue/${trigger}">${t.catalogue.ofTrigger(trigger)}</a></p>${headerList(t, headers)}<pre tabindex="0" aria-label="${t.attempt.requestBody}">${prettyJson(body)}</pre></details>`,
  )}`
}

export function testProblems(problems: readonly ShownProblem[]): Html {
  return html`${problems.map(({ detail }) => problemText(detail))}`
}
