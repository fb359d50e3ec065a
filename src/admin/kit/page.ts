import type { z } from 'zod'
import type { Caller, Control } from '../../control/kit/control.ts'
import type { TenantScope } from '../../control/kit/tenants.ts'
import type { Role } from '../../domain/access/role.ts'
import type { Texts } from '../texts/en.ts'
import type { Html } from './html.ts'
import type { Live } from './live.ts'
import type { Snippet } from './snippets.ts'

/** The inputs of a page. */
export type PageCall<Params = unknown> = {
  readonly control: Control
  readonly caller: Caller
  /** Whether the caller has this role: forbidden operations are hidden. */
  readonly may: (role: Role) => boolean
  /** The texts of the reader's language. */
  readonly t: Texts
  /** Parameters of the path. */
  readonly params: Params
  readonly query: URLSearchParams
  /** The fields of a posted form; empty for a GET. */
  readonly form: URLSearchParams
  /** htmx requests only a part of the page: answer with `part`. */
  readonly isPart: boolean
  /** How receivers verify a request, by language. */
  readonly snippets: readonly Snippet[]
  readonly nowMs: number
}

/** A breadcrumb; without `href` if it has no page. */
export type Crumb = { readonly text: string; readonly href?: string }

export type PageResponse =
  /** A whole page, in the layout. `crumbs`: the breadcrumbs below its section of the navigation. */
  | {
      readonly show: 'page'
      readonly title: string
      /** The name of the page's object, such as a webhook, which ends title and heading. */
      readonly of?: string
      readonly body: Html
      readonly crumbs?: readonly Crumb[]
      /** The operations, beside the heading. */
      readonly actions?: Html
      readonly status?: 200 | 201 | 403 | 404 | 409 | 422 | 503
    }
  | { readonly show: 'part'; readonly body: Html; readonly status?: 200 | 409 | 422 }
  /** A file to download, under this name. */
  | { readonly show: 'file'; readonly name: string; readonly type: string; readonly text: string }
  /** A redirect to another page after an operation. */
  | { readonly show: 'redirect'; readonly to: string }
  /** A live part of a page: see `live.ts`. */
  | ({ readonly show: 'live' } & Live)

/** One page, or one operation of a form. */
export type Definition<Params extends z.ZodObject> = {
  readonly method: 'get' | 'post'
  /** As Hono writes it: `/couplings/:id`. */
  readonly path: `/${string}`
  /** The lowest permitted role, enforced in `mount.ts` only. */
  readonly role: Role
  /** Absent: callers with a tenant get 404, enforced in `mount.ts` only. */
  readonly tenants?: TenantScope
  /** It is about the webhook `id` of its path, also without `tenants`: its `Control` is that of the webhook's cell. */
  readonly cells?: 'webhook'
  /** Its section of the navigation. */
  readonly section: Section
  readonly params?: Params
  handle(call: PageCall<z.output<Params>>): Promise<PageResponse>
}

export type Page = Omit<Definition<z.ZodObject>, 'handle'> & { handle(call: PageCall): Promise<PageResponse> }

/** Defines a page; `handle` gets the params as their schema parses them, and other params are not found. */
export function page<Params extends z.ZodObject = z.ZodObject>(definition: Definition<Params>): Page {
  return definition as unknown as Page
}

/** The navigation, in order. A section without a page is hidden. */
export const sections = [
  { name: 'couplings', path: '/couplings', role: 'viewer', group: 'integrations' },
  { name: 'events', path: '/events', role: 'viewer', group: 'integrations' },
  { name: 'catalogue', path: '/catalogue', role: 'viewer', group: 'integrations' },
  { name: 'health', path: '/health', role: 'viewer', group: 'system' },
  { name: 'tokens', path: '/tokens', role: 'admin', group: 'system' },
  { name: 'audit', path: '/audit', role: 'admin', group: 'system' },
] as const satisfies readonly { name: string; path: string; role: Role; group: string }[]
export type Section = (typeof sections)[number]['name']
