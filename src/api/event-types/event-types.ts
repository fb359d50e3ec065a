import { z } from 'zod'
import {
  type EventType,
  findEventType,
  listEventTypes,
  webhookSchema,
} from '../../control/webhooks/event-types.ts'
import { attachment } from '../../domain/event-types/attachment.ts'
import type { JsonSchema } from '../../domain/event-types/definitions.ts'
import { type ShownField, shownTypes } from '../../domain/event-types/shown-fields.ts'
import { anyJson, idCursor, limit, page, pageOf, text } from '../kit/fields.ts'
import type { ToWrite } from '../kit/names.ts'
import { respond, route } from '../kit/route.ts'
import { webhookParams } from '../routes/webhooks.ts'

const field = {
  name: z.string(),
  type: z.enum(shownTypes).meta({ description: 'enum: one of `values`. any: any JSON.' }),
  is_list: z.boolean().meta({ description: 'Whether it is a list of that type.' }),
  nullable: z.boolean(),
  values: z.array(anyJson()).optional().meta({ description: 'Of an enum.' }),
  description: z.string().optional(),
}
const fieldSchema = z
  .object({
    ...field,
    fields: z.array(z.object(field)).optional().meta({ description: 'Of an object whose fields are known.' }),
  })
  .meta({ id: 'EventField' })

const eventTypeSchema = z
  .object({
    trigger: z.string(),
    fields: z.array(fieldSchema).meta({
      description:
        'The fields of `result`; for a delete, of `last`. Each may be absent: unknown values are left out.',
    }),
    example: anyJson().meta({ description: 'The body of a request, with invented values.' }),
  })
  .meta({ id: 'EventType' })

const jsonSchema = z
  .record(z.string(), anyJson())
  .meta({ id: 'JsonSchema', description: 'A JSON Schema, of the draft 2020-12.' })

const tag = 'Event types'
const schemaResponse = (what: string) => ({
  status: 200 as const,
  what,
  schema: jsonSchema,
  headers: ['content-disposition' as const],
})
const asFile = (name: string) => ({ 'content-disposition': attachment(`${name}.schema.json`) })
const written = (schema: JsonSchema) => schema as z.input<typeof jsonSchema>

export const eventTypeRoutes = [
  route({
    method: 'get',
    path: '/api/event-types',
    id: 'listEventTypes',
    tag,
    summary: 'Lists every trigger with the fields of its events, their types and an example',
    description: 'From the present tables and mapping, followed by the alerts.',
    role: 'viewer',
    tenants: 'own',
    query: z.strictObject({ limit: limit(100, 100), cursor: idCursor() }),
    response: {
      status: 200,
      what: 'A page of triggers',
      schema: page(eventTypeSchema),
    },
    async handle({ control, query: { limit, cursor } }) {
      return respond(await listEventTypes(control, { limit, after: cursor }), found => pageOf(found, shown))
    },
  }),
  route({
    method: 'get',
    path: '/api/event-types/{trigger}/schema',
    id: 'getEventSchema',
    tag,
    summary: 'Reads the JSON Schema of the requests of a trigger',
    role: 'viewer',
    tenants: 'own',
    params: z.object({ trigger: text().meta({ description: 'Such as `user.update`.' }) }),
    response: schemaResponse('The schema of a body'),
    async handle({ control, params: { trigger } }) {
      return respond(
        await findEventType(control, trigger),
        ({ schema }) => written(schema),
        () => asFile(trigger),
      )
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/schema',
    id: 'getWebhookSchema',
    tag,
    summary: 'Reads the JSON Schema of all requests of a webhook',
    description:
      'One schema for each of its triggers and for tests; with `batch`, a list of them. A replay beyond the triggers may send others.',
    role: 'viewer',
    tenants: 'webhook',
    params: webhookParams,
    response: schemaResponse('The schema of a body'),
    async handle({ control, params: { id } }) {
      return respond(await webhookSchema(control, id), written, () => asFile(`webhook-${id}`))
    },
  }),
]

const shown = ({ trigger, fields, example }: EventType) => ({
  ...{ trigger, fields: fields.map(shownField) },
  example: JSON.parse(example),
})

type Shown = ToWrite<z.input<typeof fieldSchema>>

const shownField = ({ mayBeNull, values, fields, ...rest }: ShownField): Shown => ({
  ...{ ...rest, nullable: mayBeNull, fields: fields?.map(shownField) },
  values: values as z.core.util.JSONType[] | undefined,
})
