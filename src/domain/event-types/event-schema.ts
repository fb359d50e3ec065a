import { z } from 'zod'
import { alertExample } from '../alert/alert-body.ts'
import { alertSchemas } from '../alert/alert-schema.ts'
import type { AlertTrigger } from '../event/alert.ts'
import { type ActionType, writeBody } from '../event/event.ts'
import { triggerOf } from '../event/trigger.ts'
import { joinKey } from '../mapping/entity-key.ts'
import { createDefinitions, type Definitions, type JsonSchema, typeName } from './definitions.ts'
import type { EntityShape, Field } from './shape.ts'
import { exampleObject, exampleOf, objectSchema } from './value-schema.ts'

const dialect = 'https://json-schema.org/draft/2020-12/schema'
const asOfNow =
  'From the present tables and mapping: events from before a change have the fields of that time. Unlisted fields may appear.'

export type RequestForm =
  | { readonly entity: EntityShape; readonly action: ActionType | 'test' }
  | { readonly alert: AlertTrigger; readonly asTest?: boolean }

/** The JSON Schema of the body that a trigger sends. */
export function triggerSchema(form: RequestForm): JsonSchema {
  const definitions = createDefinitions()
  const { description, ...schema } = bodySchema(form, definitions)
  return {
    $schema: dialect,
    ...schema,
    description: `${description} ${asOfNow}`,
    examples: [JSON.parse(bodyExample(form))],
    $defs: definitions.all(),
  }
}

/** The JSON Schema of requests that each contain one of these forms, or, in a batch, several. */
export function requestSchema(
  all: readonly RequestForm[],
  { title, isBatch }: { readonly title: string; readonly isBatch: boolean },
): JsonSchema {
  const definitions = createDefinitions()
  const forms = all.map(form =>
    definitions.define(typeName(titleOf(form)), () => bodySchema(form, definitions)),
  )
  const one = { oneOf: forms }
  return {
    $schema: dialect,
    title,
    description: asOfNow,
    ...(isBatch ? { type: 'array', minItems: 1, items: one } : one),
    $defs: definitions.all(),
  }
}

/** The name of the trigger, or of its test. */
export function titleOf(form: RequestForm): string {
  if ('entity' in form) return `${form.entity.entityType}.${form.action}`
  return form.asTest ? `${form.alert}.test` : form.alert
}

function bodySchema(form: RequestForm, definitions: Definitions): JsonSchema {
  return 'entity' in form
    ? entityBody(form.entity, form.action, definitions)
    : alertSchema(form.alert, form.asTest === true)
}

/** An example body, without any stored data. */
export function bodyExample(form: RequestForm): string {
  if ('alert' in form) return alertExample(form.alert, form.asTest ? 'test' : undefined)
  const { entity, action } = form
  return writeBody({
    entityIdJson: exampleId(entity),
    entityType: entity.entityType,
    actionType: action,
    resultJson:
      action === 'delete' ? null : JSON.stringify(exampleObject([...entity.columns, ...entity.others])),
    lastJson: entity.last === null ? null : JSON.stringify(exampleObject(lastFields(entity))),
  })
}

/** An example of `previous`: the first column outside the key, with its earlier value. Null: there is none. */
export function previousExample({ columns, key }: EntityShape): string | null {
  const field = columns.find(
    ({ name, shape }) => !key.some(({ column }) => column === name) && shape.kind !== 'fixed',
  )
  return field ? JSON.stringify({ [field.name]: exampleOf(field.shape, 1) }) : null
}

/** The key of an example. */
export const exampleKey = ({ key }: Pick<EntityShape, 'key'>): string =>
  joinKey(key.map(({ type }) => String(exampleOf(type))))

const exampleId = (entity: EntityShape): string =>
  entity.hasNumberId ? exampleKey(entity) : JSON.stringify(exampleKey(entity))

function lastFields({ last, columns, others }: EntityShape): Field[] {
  return [...columns, ...others].filter(({ name }) => last?.includes(name))
}

const what: Readonly<Record<ActionType | 'test', string>> = {
  new: 'The entity is new, or was there already when it was sent for the first time.',
  update: 'The entity has changed.',
  delete: 'The entity is gone, or is not to be seen by this webhook any more.',
  test: 'A test, with an entity that is there.',
}

function entityBody(entity: EntityShape, action: ActionType | 'test', definitions: Definitions): JsonSchema {
  const { entityType, key, columns, others, last } = entity
  const name = typeName(entityType)
  // A description beside a reference makes generators create another type.
  const object = (preferred: string, fields: readonly Field[], description: string) =>
    definitions.define(preferred, () => ({ description, ...objectSchema(fields, name, definitions) }))
  const keyWords = key.map(({ column }) => column).join(', ')
  return {
    title: triggerOf(entityType, action as ActionType),
    description: what[action],
    type: 'object',
    properties: {
      entity_id: {
        type: entity.hasNumberId ? 'integer' : 'string',
        description:
          key.length === 1
            ? `The key of the entity: its column ${keyWords}.`
            : `The key of the entity: its columns ${keyWords}, with commas between their values. In a value, a comma is %2C and a percent sign %25.`,
      },
      entity_type: { const: entityType },
      action_type: { const: action },
      ...(action !== 'delete' && {
        result: object(
          name,
          [...columns, ...others],
          'The entity. Fields with an unknown value are left out.',
        ),
      }),
      ...(action === 'delete' &&
        last !== null && {
          last: object(`${name}Last`, lastFields(entity), 'The known values before the delete.'),
        }),
      ...(action === 'update' && {
        previous: object(
          `${name}Previous`,
          columns,
          'If the webhook has previous on: the changed fields with their known earlier values.',
        ),
      }),
      omitted: {
        type: 'array',
        items: { type: 'string' },
        description:
          'If the webhook has previous on: the names of fields that are left out because their value is unknown.',
      },
    },
    required: ['entity_id', 'entity_type', 'action_type', ...(action === 'delete' ? [] : ['result'])],
  }
}

function alertSchema(trigger: AlertTrigger, asTest: boolean): JsonSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(alertSchemas[trigger], {
    io: 'output',
    override({ jsonSchema }) {
      // Receivers must accept the fields of later versions.
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
    },
  }) as JsonSchema
  const { properties } = schema as { properties: JsonSchema }
  return {
    title: asTest ? `${trigger}.test` : trigger,
    description: asTest ? 'A test with an example of an alert.' : 'An alert of walhook about itself.',
    ...schema,
    ...(asTest && { properties: { ...properties, action_type: { const: 'test' } } }),
  }
}
