import type { z } from 'zod'
import type { Caller, Control } from '../../control/kit/control.ts'
import type { Failed, Result } from '../../control/kit/result.ts'
import type { TenantScope } from '../../control/kit/tenants.ts'
import type { Role } from '../../domain/access/role.ts'

/** What a call carries once its caller was let in. */
export type ApiEnv = { Variables: { caller: Caller } }

/** What a route answers when it went well; how it fails follows from what it takes (`document.ts`). */
export type Success<Schema extends z.ZodType | null> = {
  readonly status: 200 | 201 | 202 | 204
  readonly what: string
  /** Null: there is no body. */
  readonly schema: Schema
  /** The names of the headers that `handle` gives. */
  readonly headers?: readonly ('etag' | 'location' | 'content-disposition')[]
}

type Handled<Schema extends z.ZodType | null> =
  | Failed
  | {
      readonly ok: true
      readonly value: Schema extends z.ZodType ? z.input<Schema> : null
      readonly headers?: Readonly<Record<string, string>>
    }

/** One operation over HTTP. The same schemas validate what comes in, type the answer, and make the OpenAPI document. */
export type Definition<
  Params extends z.ZodObject,
  Query extends z.ZodObject,
  Body extends z.ZodType,
  Answer extends z.ZodType | null,
> = {
  readonly method: 'get' | 'post' | 'patch' | 'delete'
  /** As OpenAPI writes it: `/api/webhooks/{id}`. */
  readonly path: `/api/${string}`
  /** The operation's name in generated clients, in camel case. */
  readonly id: string
  readonly tag: string
  /** What it does, in a few words: `Reads a webhook`. */
  readonly summary: string
  readonly description?: string
  /** The least role that may call it. */
  readonly role: Role
  /** Absent: a token that belongs to a tenant gets 404. */
  readonly tenants?: TenantScope
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  /** What stands for a missing body, where one may be missing. */
  readonly whenNoBody?: z.input<Body>
  readonly answer: Success<Answer>
  /** It may not be possible as things are, although it changes nothing: of the others, that is said of each. */
  readonly mayConflict?: boolean
  /** It changes a thing only where `isMatch` holds of its entity tag. */
  readonly heedsIfMatch?: boolean
  handle(call: {
    readonly control: Control
    readonly caller: Caller
    /** Whether the thing with this entity tag is the one that `If-Match` names; true without the header. */
    readonly isMatch: (tag: string) => boolean
    readonly params: z.output<Params>
    readonly query: z.output<Query>
    readonly body: z.output<Body>
  }): Promise<Handled<Answer>>
}

/** A route whose types have done their work: what the server and the document need. */
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

/** Defines a route; params, query and body reach `handle` as its schemas read them. */
export function route<
  Params extends z.ZodObject = Nothing,
  Query extends z.ZodObject = Nothing,
  Body extends z.ZodType = z.ZodUndefined,
  Answer extends z.ZodType | null = z.ZodType,
>(definition: Definition<Params, Query, Body, Answer>): Route {
  return definition as unknown as Route
}

/** The result of an operation as the answer to a call, its value written by `toJson`, with the headers of `headersOf`. */
export function answer<T, Json>(
  result: Result<T>,
  toJson: (value: T) => Json,
  headersOf: (value: T) => Readonly<Record<string, string>> = () => ({}),
): Failed | { ok: true; value: Json; headers: Readonly<Record<string, string>> } {
  return result.ok ? { ok: true, value: toJson(result.value), headers: headersOf(result.value) } : result
}
