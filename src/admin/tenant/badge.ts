import { type Html, html } from '../kit/html.ts'
import type { PageCall } from '../kit/page.ts'

/** An object's tenant, for callers without one; it links to the list `path` of that tenant. */
export function tenantBadge(
  { t, caller }: Pick<PageCall, 't' | 'caller'>,
  { tenant }: { readonly tenant: string | null },
  path: string,
): Html | false {
  if (caller.tenant !== null || tenant === null) return false
  return html`<a class="badge tenant" href="${path}?${new URLSearchParams({ tenant }).toString()}">${t.tenants.of(tenant)}</a> `
}

/** The tenant that a list is limited to, with a link to all. */
export function tenantFilter({ t, caller, query }: PageCall, path: string): Html | false {
  const tenant = query.get('tenant') ?? ''
  if (caller.tenant !== null || tenant === '') return false
  return html`<p class="notice">${t.tenants.only(tenant)} <a href="${path}">${t.tenants.all}</a></p>`
}

/** The tenant in the query; null: all. */
export function requestedTenant(query: URLSearchParams): string | null {
  return (query.get('tenant') ?? '').replaceAll('\0', '').toWellFormed().slice(0, 200) || null
}
