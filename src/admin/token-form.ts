import type { createToken } from '../control/access/tokens.ts'
import { type Role, roles } from '../domain/access/role.ts'
import { longestTenant, tenantIn } from '../domain/event/tenant.ts'
import { nameIn } from '../domain/input/name.ts'
import { parseExpiry } from '../domain/value/expiry.ts'
import { needed, tenantField } from './form/webhook-form.ts'
import { errorAttributes, errorSummary, errorsOf, errorText, type FieldError } from './kit/errors.ts'
import { type Html, html } from './kit/html.ts'
import type { Texts } from './texts/en.ts'

/** The typed form of a new token, valid or not. */
export type TypedToken = {
  readonly name: string
  readonly role: string
  readonly userId: string
  /** Empty for none. */
  readonly tenant: string
  readonly expires: string
  /** For `expires: day`. */
  readonly day: string
}
type Field = keyof TypedToken
export type TokenProblems = Partial<Record<Field, string>>

export const blankToken: TypedToken = {
  name: '',
  role: 'viewer',
  userId: '',
  tenant: '',
  expires: '90d',
  day: '',
}

const expiries = ['30d', '90d', '365d', 'day', 'never'] as const

export function readToken(form: URLSearchParams): TypedToken {
  const text = (name: string) => (form.get(name) ?? '').trim()
  return {
    name: nameIn(form.get('name') ?? ''),
    role: text('role'),
    userId: text('user_id'),
    tenant: tenantIn(form),
    expires: text('expires'),
    day: text('day'),
  }
}

/** The typed form as input of `control/`, or its problems by field. */
export function validateToken(
  t: Texts,
  typed: TypedToken,
  nowMs: number,
):
  | { readonly ok: true; readonly token: Parameters<typeof createToken>[2] }
  | { readonly ok: false; readonly problems: TokenProblems } {
  const { wrong } = t.tokens
  const { name, userId, expires } = typed
  const problems: { [Name in Field]?: string } = {}
  const isStrange = (text: string) => text.includes('\0') || !text.isWellFormed()
  if (name === '') problems.name = wrong.noName
  else if (name.length > 200) problems.name = wrong.longName
  else if (isStrange(name)) problems.name = wrong.strange
  const role = roles.find(one => one === typed.role)
  if (role === undefined) problems.role = wrong.noRole
  if (userId.length > 200 || isStrange(userId)) problems.userId = wrong.strange
  const { tenant } = typed
  if (tenant.length > longestTenant || isStrange(tenant)) problems.tenant = wrong.strange
  const isDay = expires === 'day'
  const expiresAt = expires === 'never' ? null : parseExpiry(isDay ? typed.day : expires, nowMs)
  if (!expiries.some(one => one === expires)) problems.expires = wrong.noExpiry
  else if (expiresAt === null && expires !== 'never') problems.day = wrong.noDay
  if (role === undefined || Object.keys(problems).length > 0) return { ok: false, problems }
  const of = tenant === '' ? undefined : tenant
  return { ok: true, token: { name, role, tenant: of, userId: userId === '' ? null : userId, expiresAt } }
}

export const tokenErrors = ({ role, userId, ...rest }: TokenProblems): FieldError[] =>
  errorsOf({ ...rest, user_id: userId, [`role-${roles[0]}`]: role })

/** `key` is the idempotency key of the form. */
export function tokenForm(
  t: Texts,
  at: { readonly key: string; readonly choosesTenant: boolean },
  typed: TypedToken,
  problems: TokenProblems,
): Html {
  const f = t.tokens.form
  const errors = tokenErrors(problems)
  const attributes = (field: string, hint = '') => errorAttributes(errors, field, hint)
  return html`<form method="post" action="/tokens/new" class="card grid" novalidate data-validate="/tokens/validate">
<input type="hidden" name="key" value="${at.key}">
${errorSummary(f.someWrong, errors)}<div class="field"><label for="name">${f.name}</label>
<input id="name" name="name" value="${typed.name}" autocomplete="off"${needed}${attributes('name', 'name-hint')}>
<p class="hint" id="name-hint">${f.nameHint}</p>${errorText(errors, 'name')}</div>
<fieldset class="options"><legend>${f.role}</legend>
${roles.map(role => roleOption(t, role, typed.role === role, errors))}
${errorText(errors, `role-${roles[0]}`)}
</fieldset>
<div class="field"><label for="user_id">${f.user}</label>
<input id="user_id" name="user_id" value="${typed.userId}" autocomplete="off"${attributes('user_id', 'user-hint')}>
<p class="hint" id="user-hint">${f.userHint}</p>${errorText(errors, 'user_id')}</div>
${tenantField({ t }, { isChosen: at.choosesTenant, tenant: typed.tenant, errors })}
<div class="pair even"><div class="field"><label for="expires">${f.expires}</label>
<select id="expires" name="expires"${attributes('expires')}>${expiries.map(
    value =>
      html`<option value="${value}"${typed.expires === value && html` selected`}>${t.tokens.form.expiries[value]}</option>`,
  )}</select>${errorText(errors, 'expires')}</div>
<div class="field"><label for="day">${f.day}</label>
<input id="day" name="day" type="date" value="${typed.day}"${attributes('day')}>
${errorText(errors, 'day')}</div></div>
<div class="end stays"><button class="main">${f.create}</button><a class="button" href="/tokens">${t.form.cancel}</a></div>
</form>`
}

function roleOption(t: Texts, role: Role, isChosen: boolean, errors: readonly FieldError[]): Html {
  return html`<div class="check"><input type="radio" id="role-${role}" name="role" value="${role}"${errorAttributes(errors, `role-${roles[0]}`, `role-${role}-hint`)}${isChosen && html` checked`}><label for="role-${role}">${t.roles[role]}</label><p class="hint" id="role-${role}-hint">${t.tokens.form.roles[role]}</p></div>`
}
