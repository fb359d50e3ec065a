import { z } from 'zod'
import { createToken, listTokens, revokeToken, type Token } from '../control/access/tokens.ts'
import { errorsPart } from './kit/errors.ts'
import { failedPage } from './kit/failed.ts'
import { onceOfForm } from './kit/given.ts'
import { type Html, html, moment } from './kit/html.ts'
import { idParam } from './kit/ids.ts'
import { notFound } from './kit/mount.ts'
import { type PageCall, type PageResponse, page } from './kit/page.ts'
import { requestedTenant, tenantBadge, tenantFilter } from './tenant/badge.ts'
import {
  blankToken,
  readToken,
  type TokenProblems,
  type TypedToken,
  tokenErrors,
  tokenForm,
  validateToken,
} from './token-form.ts'

const section = 'tokens'
const role = 'admin'
const params = z.object({ id: idParam })
const perPage = 50

export const tokenPages = [
  page({
    method: 'get',
    path: '/tokens',
    role,
    section,
    tenants: 'own',
    async handle(call) {
      const { control, caller, t, query } = call
      const after = Number(/^\d{1,9}$/.exec(query.get('after') ?? '')?.[0] ?? 0)
      const { items, next } = await listTokens(control, caller, {
        limit: perPage,
        after,
        tenant: requestedTenant(query),
      })
      const isEmpty = items.length === 0 && after === 0 && requestedTenant(query) === null
      const newButton = html`<a class="button main" href="/tokens/new">${t.tokens.new}</a>`
      return {
        show: 'page',
        title: t.tokens.title,
        actions: html`${!isEmpty && newButton}`,
        body: html`${query.get('done') === 'revoked' && html`<p class="notice good" role="status">${t.tokens.revoked}</p>`}${tenantFilter(call, '/tokens')}${isEmpty ? emptyState(call, newButton) : list(call, items, { after, next })}`,
      }
    },
  }),
  page({
    method: 'get',
    path: '/tokens/new',
    role,
    section,
    tenants: 'own',
    handle: async call => formPage(call, { ...blankToken, tenant: call.caller.tenant ?? '' }),
  }),
  page({
    method: 'post',
    path: '/tokens/new',
    role,
    section,
    tenants: 'own',
    async handle(call) {
      const { control, caller, form, t, nowMs } = call
      const typed = readToken(form)
      const validated = validateToken(t, typed, nowMs)
      if (!validated.ok) return formPage(call, typed, validated.problems)
      const made = await onceOfForm(call, 'new token', async () => {
        const created = await createToken(control, caller, validated.token)
        return created.ok ? { ok: true, value: created.value.text } : created
      })
      return made.ok ? createdPage(call, typed.name, made.value) : failedPage(t, made)
    },
  }),
  page({
    method: 'post',
    path: '/tokens/validate',
    role,
    section,
    tenants: 'own',
    async handle({ form, t, nowMs }) {
      const validated = validateToken(t, readToken(form), nowMs)
      return { show: 'part', body: errorsPart(validated.ok ? [] : tokenErrors(validated.problems)) }
    },
  }),
  page({
    method: 'get',
    path: '/tokens/:id/revoke',
    role,
    section,
    tenants: 'own',
    params,
    async handle(call) {
      const { control, caller, params, t } = call
      const [token] = (await listTokens(control, caller, { limit: 1, after: params.id - 1 })).items
      if (token?.id !== params.id) return notFound(t)
      return {
        show: 'page',
        title: t.tokens.revokeTitle,
        of: token.name,
        body: html`<form method="post" action="/tokens/${token.id}/revoke" class="card grid">
<p>${t.tokens.question(token.name)}</p><p class="quiet">${t.tokens.consequence}</p>
${token.id === caller.tokenId && html`<p class="notice warn">${t.tokens.ownConsequence}</p>`}
<div class="end"><button class="danger">${t.tokens.revoke}</button><a class="button" href="/tokens">${t.form.cancel}</a></div>
</form>`,
      }
    },
  }),
  page({
    method: 'post',
    path: '/tokens/:id/revoke',
    role,
    section,
    tenants: 'own',
    params,
    async handle({ control, caller, params, t }) {
      const revoked = await revokeToken(control, caller, params.id)
      return revoked.ok ? { show: 'redirect', to: '/tokens?done=revoked' } : failedPage(t, revoked)
    },
  }),
]

function emptyState({ t, caller }: PageCall, button: Html): Html {
  const { empty } = t.tokens
  return html`<div class="empty"><h2>${empty.title}</h2><p>${empty.what}</p>${caller.tenant === null && html`<p>${empty.configured}</p>`}${button}</div>`
}

function list(
  call: PageCall,
  items: readonly Token[],
  { after, next }: { after: number; next: number | null },
): Html {
  const { t } = call
  const { columns } = t.tokens
  return html`<p class="hint lead">${call.caller.tenant === null ? t.tokens.lead : t.tenants.tokensLead}</p>
<div class="card flush"><table class="stacked tokens">
<thead><tr><th scope="col">${columns.name}</th><th scope="col">${columns.role}</th><th scope="col">${columns.user}</th><th scope="col">${columns.expires}</th><th scope="col">${columns.used}</th><th scope="col"><span class="unseen">${t.tokens.revoke}</span></th></tr></thead>
<tbody>${items.map(token => row(call, token))}</tbody>
</table></div>
<nav class="pages" aria-label="${t.couplings.pages}">${after > 0 && html`<a class="button" href="/tokens">${t.tokens.first}</a>`}${next !== null && html`<a class="button" rel="next" href="/tokens?${new URLSearchParams({ after: String(next), ...(call.query.get('tenant') && { tenant: call.query.get('tenant')! }) }).toString()}">${t.couplings.nextPage}</a>`}</nav>`
}

function row({ t, caller, nowMs }: PageCall, token: Token): Html {
  const { columns } = t.tokens
  const { id, name, userId, expiresAt, lastUsedAt, revokedAt } = token
  const isExpired = expiresAt !== null && expiresAt.getTime() <= nowMs
  const isOver = revokedAt !== null || isExpired
  return html`<tr${isOver && html` class="over"`}>
<th scope="row"><span class="name">${name}</span>${id === caller.tokenId && html` <span class="badge good">${t.tokens.own}</span>`} ${tenantBadge({ t, caller }, token, '/tokens')}</th>
<td data-label="${columns.role}">${t.roles[token.role]}</td>
<td data-label="${columns.user}">${userId ?? html`<span class="quiet">–</span>`}</td>
<td data-label="${columns.expires}">${revokedAt ? html`<span><span class="badge bad">${t.tokens.isRevoked}</span> <span class="quiet small">${moment(revokedAt)}</span></span>` : isExpired ? html`<span><span class="badge warn">${t.tokens.isExpired}</span> <span class="quiet small">${moment(expiresAt)}</span></span>` : expiresAt ? moment(expiresAt) : t.tokens.never}</td>
<td data-label="${columns.used}">${lastUsedAt ? moment(lastUsedAt, 'distance') : html`<span class="quiet">${t.tokens.unused}</span>`}</td>
<td class="act">${revokedAt === null && html`<a class="button small" href="/tokens/${id}/revoke" aria-label="${t.tokens.revokeOf(name)}">${t.tokens.revoke}</a>`}</td>
</tr>`
}

function formPage(call: PageCall, typed: TypedToken, problems: TokenProblems = {}): PageResponse {
  const { t, control, caller, form } = call
  const choosesTenant = caller.tenant === null && control.tenantTypes.length > 0
  const key = form.get('key') ?? control.randomBytes(16).toString('hex')
  return {
    show: 'page',
    title: t.tokens.new,
    status: Object.keys(problems).length > 0 ? 422 : 200,
    body: tokenForm(t, { key, choosesTenant }, typed, problems),
  }
}

/** The only time that the token is shown. */
function createdPage({ t }: PageCall, name: string, text: string): PageResponse {
  const { created } = t.tokens
  return {
    show: 'page',
    title: t.tokens.new,
    of: name,
    status: 201,
    body: html`<div class="created" data-address="/tokens"><p class="notice good" role="status">${created.done}</p>
<section class="card grid"><h2>${created.token}</h2><p><b>${created.onlyNow}</b> ${created.hint}</p>
<div class="row"><code class="secret" id="token">${text}</code><button type="button" data-copy="token" data-copied="${t.created.copied}" hidden>${t.created.copy}</button></div></section>
<section class="card grid"><h2>${created.use}</h2><p>${created.useHint}</p><pre tabindex="0" aria-label="${created.example}">authorization: Bearer ${text}</pre>
<div class="end"><a class="button" href="/tokens">${created.back}</a></div></section></div>`,
  }
}
