import type { z } from 'zod'
import type { Caller, Control } from '../../control/kit/control.ts'
import type { TenantScope } from '../../control/kit/tenants.ts'
import type { Role } from '../../domain/access/role.ts'
import type { Texts } from '../texts/en.ts'
import type { Html } from './html.ts'
import type { Live } from './live.ts'
import type { Snippet } from './snippets.ts'

/** What a page may need to be written. */
export type PageCall<Params = unknown> = {
  readonly control: Control
  readonly caller: Caller
  /** Whether the caller may do what needs this role: what they may not is not offered. */
  readonly may: (role: Role) => boolean
  /** The texts of the reader's language. */
  readonly t: Texts
  /** Of the path. */
  readonly params: Params
  readonly query: URLSearchParams
  /** The fields of a form that was posted; empty at a get. */
  readonly form: URLSearchParams
  /** Only a part of the page is asked for, by htmx: answer with `part`. */
  readonly isPart: boolean
  /** How receivers verify a request, by language. */
  readonly snippets: readonly Snippet[]
  readonly nowMs: number
}

/** A step on the way to a page; without `href` where there is nothing to look at. */
export type Crumb = { readonly text: string; readonly href?: string }

export type PageAnswer =
  /** A whole page, in the layout. `crumbs` is the way to it, below the one of its place in the navigation. */
  | {
      readonly show: 'page'
      readonly title: string
      /** The name of what it is a page of, such as a webhook: the title and the heading end with it. */
      readonly of?: string
      readonly body: Html
      readonly crumbs?: readonly Crumb[]
      /** Stands beside the heading: what there is to do. */
      readonly actions?: Html
      readonly status?: 200 | 201 | 403 | 404 | 409 | 422 | 503
    }
  /** A piece of a page, put where htmx was told to. */
  | { readonly show: 'part'; readonly body: Html; readonly status?: 200 | 409 | 422 }
  /** A file to keep, under this name. */
  | { readonly show: 'file'; readonly name: string; readonly type: string; readonly text: string }
  /** Goes to another page, after something was done: by its path. */
  | { readonly show: 'redirect'; readonly to: string }
  /** A piece of a page that follows what happens: see `live.ts`. */
  | ({ readonly show: 'live' } & Live)

/** One page, or one thing that a form does. */
export type Definition<Params extends z.ZodObject> = {
  readonly method: 'get' | 'post'
  /** As Hono writes it: `/couplings/:id`. */
  readonly path: `/${string}`
  /** The least role that may see or do it. It is judged in one place, `mount.ts`. */
  readonly role: Role
  /** Absent: for whoever belongs to a tenant, there is no such page. It is judged in the same place. */
  readonly tenants?: TenantScope
  /** Where it is in the navigation. */
  readonly place: Place
  readonly params?: Params
  handle(call: PageCall<z.output<Params>>): Promise<PageAnswer>
}

/** A page whose types have done their work. */
export type Page = Omit<Definition<z.ZodObject>, 'handle'> & { handle(call: PageCall): Promise<PageAnswer> }

/** Defines a page; its params reach `handle` as their schema reads them, and what does not fit is not found. */
export function page<Params extends z.ZodObject = z.ZodObject>(definition: Definition<Params>): Page {
  return definition as unknown as Page
}

/** The navigation, in its order. A place that has no page yet is not shown. */
export const places = [
  { name: 'couplings', path: '/couplings', role: 'viewer', group: 'integrations' },
  { name: 'events', path: '/events', role: 'viewer', group: 'integrations' },
  { name: 'catalogue', path: '/catalogue', role: 'viewer', group: 'integrations' },
  { name: 'health', path: '/health', role: 'viewer', group: 'system' },
  { name: 'tokens', path: '/tokens', role: 'admin', group: 'system' },
  { name: 'audit', path: '/audit', role: 'admin', group: 'system' },
] as const satisfies readonly { name: string; path: string; role: Role; group: string }[]
export type Place = (typeof places)[number]['name']
