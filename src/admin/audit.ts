import { type AuditRecord, auditedNames, isAdministrator, listAudit } from '../control/access/audit.ts'
import type { Changes } from '../domain/access/audit.ts'
import { type CellCursor, writeCellCursor } from '../domain/cells/cell-cursor.ts'
import { given, wrong, wrongField } from './kit/given.ts'
import { type Html, html, moment } from './kit/html.ts'
import { cellCursorParam, idParam } from './kit/ids.ts'
import { type PageCall, page } from './kit/page.ts'
import { requestedTenant, tenantBadge, tenantFilter } from './tenant/badge.ts'
import type { Texts } from './texts/en.ts'

const perPage = 50
/** Records with more fields are collapsed. */
const shownAtOnce = 3

export const auditPages = [
  page({
    method: 'get',
    path: '/audit',
    role: 'admin',
    section: 'audit',
    tenants: 'own',
    async handle(call) {
      const { control, caller, t, query } = call
      const webhookId = given(query, 'webhook', idParam) ?? null
      if (webhookId === wrong) return wrongField(t, 'webhook')
      const before = given(query, 'before', cellCursorParam) ?? null
      if (before === wrong) return wrongField(t, 'before')
      const tenant = requestedTenant(query)
      const { items, next } = await listAudit(control, caller, { limit: perPage, before, webhookId, tenant })
      const ids = items.flatMap(({ webhookId }) => webhookId ?? [])
      const names = await auditedNames(control, caller, webhookId === null ? ids : [...ids, webhookId])
      return {
        show: 'page',
        title: t.audit.title,
        ...(webhookId !== null && { of: names.get(webhookId) ?? t.audit.deleted(webhookId) }),
        body: html`${tenantFilter(call, '/audit')}${webhookId !== null && filterLine(t, webhookId, names)}${
          items.length === 0 ? emptyState(t) : list(call, items, names)
        }<nav class="pages" aria-label="${t.couplings.pages}">${before !== null && html`<a class="button" href="${address({ webhookId, tenant }, null)}">${t.audit.newest}</a>`}${next !== null && html`<a class="button" rel="next" href="${address({ webhookId, tenant }, next)}">${t.audit.older}</a>`}</nav>`,
      }
    },
  }),
]

function address(
  { webhookId, tenant }: { webhookId: number | null; tenant: string | null },
  before: CellCursor | null,
): string {
  const query = new URLSearchParams({
    ...(webhookId !== null && { webhook: String(webhookId) }),
    ...(tenant !== null && { tenant }),
    ...(before !== null && { before: writeCellCursor(before) }),
  })
  return query.size === 0 ? '/audit' : `/audit?${query}`
}

type Names = ReadonlyMap<number, string>

function filterLine(t: Texts, webhookId: number, names: Names): Html {
  return html`<p class="notice">${t.audit.only(names.get(webhookId) ?? t.audit.deleted(webhookId))} <a href="/audit">${t.audit.all}</a></p>`
}

function emptyState(t: Texts): Html {
  return html`<div class="empty"><h2>${t.audit.empty.title}</h2><p>${t.audit.empty.what}</p></div>`
}

function list(call: PageCall, items: readonly AuditRecord[], names: Names): Html {
  const { t } = call
  const { columns } = t.audit
  return html`<div class="card flush"><table class="stacked audit">
<thead><tr><th scope="col">${columns.at}</th><th scope="col">${columns.who}</th><th scope="col">${columns.what}</th><th scope="col">${columns.changes}</th></tr></thead>
<tbody>${items.map(
    record => html`<tr>
<td data-label="${columns.at}">${moment(record.at)}</td>
<td data-label="${columns.who}">${who(t, record)}</td>
<td data-label="${columns.what}"><div>${t.audit.actions[record.action]}${target(t, record, names)}${tenantBadge(call, record, '/audit')}</div></td>
<td data-label="${columns.changes}">${changes(t, record.changes)}</td>
</tr>`,
  )}</tbody>
</table></div>`
}

function who(t: Texts, { actor }: AuditRecord): Html {
  const { kind, name, userId } = actor
  if (isAdministrator(actor)) return html`<b class="name">${t.tenants.administrator}</b>`
  const isNamed = kind === 'token' || kind === 'link' || kind === 'oidc' || kind === 'configuration'
  const more = [isNamed ? t.audit.kinds[kind] : null, userId === null ? null : t.audit.account(userId)]
  return html`<div><b class="name">${kind === 'command line' ? t.audit.kinds[kind] : name}</b> <span class="quiet small">${more.filter(one => one !== null).join(', ')}</span></div>`
}

/** The object of a change: a webhook, by its present name, or a token. */
function target(t: Texts, { webhookId, action, changes }: AuditRecord, names: Names): Html | false {
  if (webhookId !== null)
    return html`<div class="name"><a href="/audit?webhook=${webhookId}">${names.get(webhookId) ?? t.audit.deleted(webhookId)}</a></div>`
  const name = changes.name?.to ?? changes.name?.from
  return action.startsWith('token.') && typeof name === 'string' && html`<div class="name">${name}</div>`
}

function changes(t: Texts, all: Changes): Html {
  const order = Object.keys(t.audit.fields)
  const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length)
  const entries = Object.entries(all)
    .filter(([, change]) => !saysNothing(change))
    .sort(([a], [b]) => rank(a) - rank(b))
  if (entries.length === 0) return html`<span class="quiet">–</span>`
  const written = html`<dl class="changes">${entries.map(
    ([name, change]) =>
      html`<div><dt>${fieldName(t, name)}</dt><dd>${'from' in change && html`<span class="from">${value(t, change.from)}</span>`}${'from' in change && 'to' in change && html` <span class="quiet" aria-label="${t.audit.changesTo}" role="img">→</span> `}${'to' in change && html`<span class="to">${value(t, change.to)}</span>`}</dd></div>`,
  )}</dl>`
  if (entries.length <= shownAtOnce) return written
  return html`<details><summary class="quiet">${t.audit.fieldCount(entries.length)}</summary>${written}</details>`
}

/** An empty field of a created or deleted object. */
function saysNothing(change: Changes[string]): boolean {
  if ('from' in change && 'to' in change) return false
  const of = change.from ?? change.to ?? null
  return of === null || (Array.isArray(of) && of.length === 0)
}

function fieldName(t: Texts, name: string): Html {
  return Object.hasOwn(t.audit.fields, name)
    ? html`${t.audit.fields[name as keyof Texts['audit']['fields']]}`
    : html`<code>${name}</code>`
}

/** A value for readers who do not know the API. */
function value(t: Texts, of: unknown): Html {
  if (of === null || of === '') return html`<span class="quiet">${t.audit.nothing}</span>`
  if (typeof of === 'boolean') return html`${of ? t.yes : t.no}`
  if (typeof of === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(of)) return moment(new Date(of))
  if (typeof of === 'string' || typeof of === 'number') return html`${of}`
  if (Array.isArray(of) && of.every(one => typeof one === 'string'))
    return of.length === 0 ? html`<span class="quiet">${t.audit.nothing}</span>` : html`${of.join(', ')}`
  return html`<code>${JSON.stringify(of)}</code>`
}
