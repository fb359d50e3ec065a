import type { z } from 'zod'
import type { Caller, Control } from '../../control/kit/control.ts'
import type { Failed, Result } from '../../control/kit/result.ts'
import type { TenantScope } from '../../control/kit/tenants.ts'
import type { Role } from '../../domain/access/role.ts'
import type { Read, ToWrite } from './names.ts'

/** The context of an admitted call. */
export type ApiEnv = { Variables: { caller: Caller } }

/** A successful response; failures follow from the input (`document.ts`). */
type Success<Schema extends z.ZodType | null> = {
  readonly status: 200 | 201 | 202 | 204
  readonly what: string
  /** Null: no body. */
  readonly schema: Schema
  /** The headers that `handle` sets. */
  readonly headers?: readonly ('etag' | 'location' | 'content-disposition')[]
}

type Handled<Schema extends z.ZodType | null> =
  | Failed
  | {
      readonly ok: true
      readonly value: Schema extends z.ZodType ? ToWrite<z.input<Schema>> : null
      readonly headers?: Readonly<Record<string, string>>
    }

/** One operation over HTTP. Its schemas validate the input, type and write the response, and make the OpenAPI document. */
export type Definition<
  Params extends z.ZodObject,
  Query extends z.ZodObject,
  Body extends z.ZodType,
  Output extends z.ZodType | null,
> = {
  readonly method: 'get' | 'post' | 'patch' | 'delete'
  /** As OpenAPI writes it: `/api/webhooks/{id}`. */
  readonly path: `/api/${string}`
  /** The operation's name in generated clients, in camel case. */
  readonly id: string
  readonly tag: string
  /** A few words: `Reads a webhook`. */
  readonly summary: string
  readonly description?: string
  /** The lowest permitted role. */
  readonly role: Role
  /** Absent: callers with a tenant get 404. */
  readonly tenants?: TenantScope
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  /** Replaces a missing body, if it is optional. */
  readonly whenNoBody?: z.input<Body>
  readonly response: Success<Output>
  /** A conflict is possible although the route changes nothing (every other route documents one). */
  readonly mayConflict?: boolean
  /** It honours `If-Match`: changes need `isMatch` of the entity tag. */
  readonly heedsIfMatch?: boolean
  handle(call: {
    readonly control: Control
    readonly caller: Caller
    /** Whether `If-Match` names this entity tag; true without the header. */
    readonly isMatch: (tag: string) => boolean
    readonly params: Read<z.output<Params>>
    readonly query: Read<z.output<Query>>
    readonly body: Read<z.output<Body>>
  }): Promise<Handled<Output>>
}

export type Route = Omit<Definition<z.ZodObject, z.ZodObject, z.ZodType, z.ZodType | null>, 'handle'> & {
  handle(call: {
    control: Control
    caller: Caller
    isMatch: (tag: string) => boolean
    params: unknown
    query: unknown
    body: unknown
  }): Promise<Failed | { ok: true; value: unknown; headers?: Readonly<Record<string, string>> }>
}

type Nothing = z.ZodObject<Record<never, never>>

/** Defines a route; `handle` gets params, query and body as its schemas parse them, in the names of the code. */
export function route<
  Params extends z.ZodObject = Nothing,
  Query extends z.ZodObject = Nothing,
  Body extends z.ZodType = z.ZodUndefined,
  Output extends z.ZodType | null = z.ZodType,
>(definition: Definition<Params, Query, Body, Output>): Route {
  return definition as unknown as Route
}

/** The response to an operation's result: what `toShown` makes of it, with the headers of `headersOf`. */
export function respond<T, Shown>(
  result: Result<T>,
  toShown: (value: T) => Shown,
  headersOf: (value: T) => Readonly<Record<string, string>> = () => ({}),
): Failed | { ok: true; value: Shown; headers: Readonly<Record<string, string>> } {
  return result.ok ? { ok: true, value: toShown(result.value), headers: headersOf(result.value) } : result
}
