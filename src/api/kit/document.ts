import { z } from 'zod'
import { problemSchema } from './problem.ts'
import type { Route } from './route.ts'

export type JsonSchema = { readonly [key: string]: unknown }
type Content = { content: Record<string, { schema: JsonSchema }> }
export type Operation = {
  operationId: string
  tags: string[]
  summary: string
  description: string
  'x-role': string
  parameters: {
    name: string
    in: 'path' | 'query' | 'header'
    required: boolean
    description?: string
    schema: JsonSchema
  }[]
  requestBody?: Content & { required: boolean }
  responses: Record<string, { description: string; headers?: Record<string, object> } & Partial<Content>>
}
/** The used part of OpenAPI 3.1. https://spec.openapis.org/oas/v3.1.1.html */
export type OpenApiDocument = {
  openapi: string
  info: { title: string; version: string; description: string; license: object }
  servers: { url: string }[]
  security: object[]
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, { post: object }>
  components: { schemas: Record<string, JsonSchema>; securitySchemes: object }
}

/** The OpenAPI document of routes, from the schemas that validate. `version` is walhook's own. */
export function openApiDocument(
  routes: readonly Route[],
  version: string,
  alerts: Readonly<Record<string, z.ZodType>> = {},
): OpenApiDocument {
  const schemas: Record<string, JsonSchema> = {}
  const write = (schema: z.ZodType, io: 'input' | 'output') => toJsonSchema(schema, io, schemas)
  const paths: OpenApiDocument['paths'] = {}
  for (const route of routes) {
    paths[route.path] ??= {}
    paths[route.path]![route.method] = operation(route, write)
  }
  const webhooks = Object.fromEntries(
    Object.entries(alerts).map(([trigger, schema]) => [
      trigger,
      { post: alert(trigger, write(schema, 'output')) },
    ]),
  )
  return {
    openapi: '3.1.1',
    info: {
      title: 'walhook',
      version,
      description:
        'Signed webhooks for committed changes in Postgres. Errors are `application/problem+json` (RFC 9457) with a pointer to each invalid field. Lists are paginated: send `next_cursor` as `cursor` for the next page. The header `RateLimit` says how many calls a token has left.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map(name => ({ name })),
    paths,
    webhooks,
    components: {
      schemas,
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A token, created by `walhook token NAME`. Its role is viewer, operator or admin: each role includes the one before.',
        },
      },
    },
  }
}

const alert = (trigger: string, schema: JsonSchema) => ({
  operationId: trigger,
  summary: `The alert ${trigger}`,
  description: 'Sent to the webhooks with this trigger, signed and retried like every delivery.',
  security: [],
  requestBody: { required: true, content: { 'application/json': { schema } } },
  responses: { '2XX': { description: 'Accepted. Any other response leads to a retry.' } },
})

type Write = (schema: z.ZodType, io: 'input' | 'output') => JsonSchema

function operation(route: Route, write: Write): Operation {
  const { response } = route
  const json = (schema: JsonSchema) => ({ content: { 'application/json': { schema } } })
  const problemResponse = (description: string) => ({
    description,
    content: { 'application/problem+json': { schema: write(problemSchema, 'output') } },
  })
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    description: `${route.description ? `${route.description} ` : ''}Needs the role ${route.role}${route.tenants === undefined ? ', and a token without a tenant' : ''}.`,
    'x-role': route.role,
    parameters: [
      ...parameters(route.params, 'path', write),
      ...parameters(route.query, 'query', write),
      ...headerParameters(route),
    ],
    ...(route.body && {
      requestBody: { required: route.whenNoBody === undefined, ...json(write(route.body, 'input')) },
    }),
    responses: {
      [response.status]: {
        description: response.what,
        ...(response.schema && json(write(response.schema, 'output'))),
        headers: Object.fromEntries(
          (response.headers ?? []).map(name => [name, { schema: { type: 'string' } }]),
        ),
      },
      ...Object.fromEntries(failures(route).map(([status, what]) => [status, problemResponse(what)])),
    },
  }
}

/** The possible failures follow from a route's input. */
function failures({
  method,
  params,
  query,
  body,
  tenants,
  heedsIfMatch,
  mayConflict,
}: Route): [number, string][] {
  return [
    ...(body ? ([[400, 'The body is not JSON']] as [number, string][]) : []),
    [401, 'No valid token'],
    [403, "The token's role may not do this"],
    ...(params || tenants === undefined ? ([[404, 'Not found']] as [number, string][]) : []),
    ...(method === 'get' && !mayConflict
      ? []
      : ([[409, 'Conflict with the current state']] as [number, string][])),
    ...(heedsIfMatch
      ? ([[412, 'Changed since the caller read it: see `If-Match`']] as [number, string][])
      : []),
    ...(body ? ([[413, 'The body is too large']] as [number, string][]) : []),
    ...(params || query || body || method === 'post'
      ? ([[422, 'Invalid fields: `errors` lists each']] as [number, string][])
      : []),
    [429, 'Too many calls: `Retry-After` says when to retry'],
    [500, 'walhook failed'],
    [503, 'walhook is overloaded or starting: `Retry-After` says when to retry'],
  ]
}

/** `If-Match` for changes, `Idempotency-Key` where repetition matters. */
function headerParameters({ method, heedsIfMatch }: Route): Operation['parameters'] {
  const header = (name: string, description: string, schema: JsonSchema) => [
    { name, in: 'header' as const, required: false, description, schema },
  ]
  if (method === 'post')
    return header(
      'Idempotency-Key',
      'Makes a retry safe: for 24 hours, a second request with this key gets the first response, with `Idempotent-Replayed: true`.',
      { type: 'string', pattern: '^[!-~]{1,255}$' },
    )
  if (!heedsIfMatch) return []
  return header(
    'If-Match',
    'The `ETag` of the version that the caller read. If it has changed since, the call fails with 412.',
    {
      type: 'string',
    },
  )
}

function parameters(
  schema: z.ZodObject | undefined,
  location: 'path' | 'query',
  write: Write,
): Operation['parameters'] {
  if (!schema) return []
  const { properties = {}, required = [] } = write(schema, 'input') as {
    properties?: Record<string, JsonSchema>
    required?: string[]
  }
  return Object.entries(properties).map(([name, written]) => ({
    name,
    in: location,
    required: location === 'path' || required.includes(name),
    schema: written,
  }))
}

/** Writes a schema; named schemas go to `named` and are referenced. */
function toJsonSchema(
  schema: z.ZodType,
  io: 'input' | 'output',
  named: Record<string, JsonSchema>,
): JsonSchema {
  // In a list, because only inner schemas are referenced by name.
  const { items, $defs = {} } = z.toJSONSchema(z.array(schema), {
    io,
    override({ jsonSchema, zodSchema: { _zod } }) {
      const { asJson } = jsonSchema
      if (asJson) {
        for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
        Object.assign(jsonSchema, asJson)
      }
      if (_zod.def.type === 'default') jsonSchema.default = _zod.def.defaultValue
      // Clients must accept the fields of later versions.
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
      delete jsonSchema.id
    },
  })
  const moved = (value: unknown): JsonSchema =>
    JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/'))
  for (const [name, one] of Object.entries($defs)) named[name] = moved(one)
  return moved(items)
}
