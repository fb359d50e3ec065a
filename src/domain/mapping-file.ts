import { z } from 'zod'
import type { EntityMapping, TableName } from './mapping.ts'

const column = z.string().min(1, 'must not be empty')

const table = z.union(
  [
    z
      .string()
      .regex(/^[^.]+(\.[^.]+)?$/)
      .transform((text): TableName => {
        const [first, second] = text.split('.')
        return second === undefined ? { schema: 'public', name: first! } : { schema: first!, name: second }
      }),
    z.strictObject({ schema: column, name: column }),
  ],
  'must be a table: its name, schema.name, or {schema: …, name: …}',
)

const related = z
  .strictObject({
    table: table.describe('the table of the related rows'),
    owner: column.describe("its column that holds the owner's key"),
    value: column.optional().describe('one column: the field is a list of its values'),
    fields: z
      .array(column)
      .min(1, 'must name at least one column')
      .optional()
      .describe('several columns: the field is a list of objects'),
  })
  .refine(({ value, fields }) => (value === undefined) !== (fields === undefined), {
    message:
      'must have either value (one column: a list of its values) or fields (columns: a list of objects)',
  })

const entity = z.strictObject({
  table: table.describe('name, schema.name, or {schema, name}'),
  key: column.default('id').describe('the column whose value is entity_id'),
  fields: z
    .strictObject({
      include: z
        .array(column)
        .min(1, 'must name at least one column')
        .nullable()
        .default(null)
        .describe(
          'only these columns, in this order; without it every one but those that look like credentials',
        ),
      omit: z.array(column).default([]).describe('columns that are left out'),
      rename: z.record(column, column).default({}).describe('column: the name of its field'),
    })
    .default({ include: null, omit: [], rename: {} }),
  related: z.record(column, related).default({}).describe('field: what it lists from another table'),
  send_unchanged: z
    .boolean()
    .default(false)
    .describe('send also an UPDATE that is known to have changed nothing that is sent'),
})

const mappingFile = z.strictObject({
  entities: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]*$/, 'an entity type is lower-case letters, digits and _'),
      entity,
    )
    .refine(entities => Object.keys(entities).length > 0, { message: 'must name at least one entity' }),
})

export type MappingFileResult =
  | { readonly ok: true; readonly mapping: readonly EntityMapping[] }
  | { readonly ok: false; readonly problems: readonly { readonly at: string; readonly message: string }[] }

/** Reads a mapping file, already parsed from YAML or JSON. Every problem names its place, as `entities.user.table`. */
export function readMappingFile(content: unknown): MappingFileResult {
  const parsed = mappingFile.safeParse(content)
  if (!parsed.success)
    return {
      ok: false,
      problems: parsed.error.issues.map(issue => ({
        at: issue.path.join('.') || 'the file',
        message: issue.message,
      })),
    }
  const mapping = Object.entries(parsed.data.entities).map(
    ([entityType, { related, send_unchanged, ...rest }]) => ({
      entityType,
      ...rest,
      sendsUnchanged: send_unchanged,
      related: Object.entries(related).map(([field, { table, owner, value, fields }]) => ({
        field,
        table,
        owner,
        columns: value === undefined ? fields! : [value],
        plain: value !== undefined,
      })),
    }),
  )
  return { ok: true, mapping }
}

/** The form of a mapping file as a JSON Schema, for editors. https://json-schema.org/draft/2020-12 */
export function mappingFileSchema(): object {
  const { $schema, ...schema } = z.toJSONSchema(mappingFile, { io: 'input' })
  return { $schema, title: 'The mapping file of walhook (walhook.yaml)', ...schema }
}
