import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { entityShapes } from '../../src/capture/event-types/entity-shapes.ts'
import { readCatalogue } from '../../src/capture/source/read-catalogue.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { actionTypes, bodySent } from '../../src/domain/event/event.ts'
import type { JsonSchema } from '../../src/domain/event-types/definitions.ts'
import { bodyExample, triggerSchema } from '../../src/domain/event-types/event-schema.ts'
import type { EntityShape } from '../../src/domain/event-types/shape.ts'
import type { EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'

const ajv = addFormats.default(
  new Ajv2020({ strict: true, strictTypes: false, allErrors: true, allowUnionTypes: true }),
)

/** As a receiver may compile it that is strict: unknown keywords are errors, and formats are asserted. */
export const compileSchema = (schema: JsonSchema): ValidateFunction => ajv.compile(schema as object)

export async function readShapes(url: string, mapping: readonly EntityMapping[]): Promise<EntityShape[]> {
  await using source = openSource({ url, onError() {} })
  return entityShapes(await readCatalogue(source, mapping), mapping)
}

/** What the schemas refuse of the events that are stored, and of their own examples: nothing. */
export async function refusedEvents(url: string, mapping: readonly EntityMapping[]): Promise<string[]> {
  const validators = new Map<string, ValidateFunction>()
  const refused: string[] = []
  const check = (trigger: string, body: string) => {
    const validate = validators.get(trigger)!
    if (!validate(JSON.parse(body))) refused.push(`${body}: ${JSON.stringify(validate.errors)}`)
  }
  for (const entity of await readShapes(url, mapping))
    for (const action of actionTypes) {
      const trigger = `${entity.entityType}.${action}`
      validators.set(trigger, compileSchema(triggerSchema({ entity, action })))
      check(trigger, bodyExample({ entity, action }))
    }
  await using outbox = openOutbox({ url, maxConnections: 1, onError() {} })
  const { rows } = await outbox.pool.query(
    'select entity_type, action_type, body, previous, omitted from walhook.events order by id',
  )
  const asItIs = { asNew: false, asDelete: false, withPrevious: true }
  for (const { entity_type, action_type, body, previous, omitted } of rows)
    check(`${entity_type}.${action_type}`, bodySent({ body, previous, omitted }, asItIs))
  return refused
}
