import { z } from 'zod'
import { formats } from '../value/format.ts'
import { nearest } from '../value/nearest.ts'
import { conditions, readConditions } from './condition-words.ts'
import {
  type EntityMapping,
  listsValues,
  type RelatedList,
  type RowOrder,
  type TableName,
} from './mapping.ts'

const column = z.string().min(1, 'must not be empty')

/** An object of these words and no others. A wrong one is refused with the nearest that exists. */
function words<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error(issue) {
      if (issue.code !== 'unrecognized_keys') return undefined
      const all = Object.keys(shape)
      const wrong = issue.keys.map(word => {
        const meant = nearest(word, all)
        return meant === null ? word : `${word} (was ${meant} meant?)`
      })
      return `has no word ${wrong.join(', ')}: its words are ${all.join(', ')}`
    },
  })
}

const table = z.union(
  [
    z
      .string()
      .regex(/^[^.]+(\.[^.]+)?$/)
      .transform((text): TableName => {
        const [first, second] = text.split('.')
        return second === undefined ? { schema: 'public', name: first! } : { schema: first!, name: second }
      }),
    words({ schema: column, name: column }),
  ],
  'must be a table: its name, schema.name, or {schema: …, name: …}',
)

const rename = z.record(column, column).describe('column: the name of its field')
const format = z
  .record(column, z.enum(formats, `must be one of ${formats.join(', ')}`))
  .describe(
    'column: how its values are written. string: a number, boolean or JSON as text; for a timestamp (taken as UTC): unix_seconds, unix_milliseconds, datetime (2019-11-05 07:56:15), iso_8601, date; hex: bytes; from_unix_seconds, from_unix_milliseconds: a whole number or numeric that counts them since 1970, as iso_8601',
  )

const order = z.union(
  [
    column.transform(name => [name]),
    z.array(column).min(1),
    z.record(column, z.enum(['asc', 'desc'])).refine(columns => Object.keys(columns).length > 0),
  ],
  'must be a column, a list of columns, or an object of columns with asc or desc',
)

const related = words({
  table: table.describe('the table of the related rows'),
  owner: column.describe("its column that holds the owner's key"),
  value: column.optional().describe('one column: the field is a list of its values'),
  key: column
    .optional()
    .describe(
      'beside value: the field is an object instead of a list, and this column holds the names; of two rows with one name, the last counts',
    ),
  include: z
    .array(z.string())
    .min(1, 'must hold at least one name')
    .optional()
    .describe('beside key: only these names; without it every one but those that look like credentials'),
  fields: z
    .array(column)
    .min(1, 'must name at least one column')
    .optional()
    .describe('several columns: the field is a list of objects'),
  repeated: z
    .enum(['last', 'list'], 'must be last or list')
    .optional()
    .describe(
      'beside key: what several rows with one name become. last: the last of them counts; list: each name has a list of its values, also where it has one',
    ),
  order_by: order
    .optional()
    .describe(
      'the column by which the rows are ordered, a list of columns, or column: asc or desc; then by primary key, which is all without it',
    ),
  where: conditions
    .optional()
    .describe(
      'as where of an entity: only rows of the related table that match are shown. One that begins or ceases to match is an update of its owner',
    ),
  nulls: z
    .enum(['omit', 'keep'], 'must be omit or keep')
    .optional()
    .describe(
      'of a list of single values: what a row without a value is. omit: no item of the list; keep: an item that is null',
    ),
  rename: rename.optional(),
  format: format.optional(),
}).superRefine((list, context) => {
  const { value, key, include, repeated, fields, nulls } = list
  const refuse = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path })
  if ((value === undefined) === (fields === undefined))
    refuse(
      'must have either value (one column: a list of its values; with key: an object) or fields (columns: a list of objects)',
    )
  if (key !== undefined && value === undefined)
    refuse('names the fields of an object, whose values are those of the column value: name that too', 'key')
  if (include !== undefined && key === undefined)
    refuse('holds names that rows have in the column key: name that too', 'include')
  if (repeated !== undefined && key === undefined)
    refuse('is for rows with one name: name the column that holds it under key', 'repeated')
  const isOfValues = listsValues({
    plain: value !== undefined,
    ...(key && { key }),
    repeats: repeated === 'list',
  })
  if (nulls !== undefined && !isOfValues)
    refuse(
      'is for lists of single values: remove it, for objects show a null as null (value, or key with repeated: list, makes such lists)',
      'nulls',
    )
  if (list.rename && fields === undefined)
    refuse('is for the names of fields: without fields there is nothing to rename', 'rename')
  for (const rule of ['rename', 'format'] as const)
    for (const named of Object.keys(list[rule] ?? {}))
      if (!(fields ?? [value]).includes(named))
        refuse(`is not one of the columns that this field shows`, rule, named)
})

/** JSON whose numbers are exact. */
const fixedValue = z
  .json('must be text, a number, true, false, null, or a list or object of them')
  .refine(
    value => !hasInexactNumber(value),
    'holds a number with more digits than JSON readers keep: write it in quotes',
  )

function hasInexactNumber(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasInexactNumber)
}

const newColumns = z.enum(['send', 'ignore'], 'must be send or ignore')

const entity = words({
  table: table.describe('name, schema.name, or {schema, name}'),
  key: column.default('id').describe('the column whose value is entity_id'),
  fields: words({
    include: z
      .union([z.literal('all'), z.array(column).min(1)], 'must be all, or a list of at least one column')
      .nullable()
      .default(null)
      .describe(
        'a list: only these columns, in this order. all: every one but those that look like credentials, also those that a migration adds later. Without it: the same, where new_columns says what becomes of later ones',
      ),
    omit: z.array(column).default([]).describe('columns that are left out'),
    rename: rename.default({}),
    format: format.optional(),
    fixed: z
      .record(column, fixedValue)
      .optional()
      .describe('field: a value that every entity of the type has, whatever is in its row'),
  }).default({ include: null, omit: [], rename: {} }),
  tenant: column
    .optional()
    .describe(
      'the column that says whose the entity is, as in organisation_id: webhooks and tokens of that tenant, and of no other, have to do with it. Null or empty: nobody’s',
    ),
  where: conditions
    .optional()
    .describe(
      'column: the value, or list of values, that it must hold; null, not null, or operators (=, in, not, <, <=, >, >=). Only rows that match are told: one that begins to match is new, one that ceases to is delete',
    ),
  deleted_when: conditions
    .optional()
    .describe('as where; a row that holds all of this counts as deleted, as in deleted_at: not null'),
  last: z
    .union([z.boolean(), z.array(column).min(1)], 'must be true, false, or a list of at least one column')
    .default(false)
    .describe(
      'true: a delete carries `last`, the values of the row before, as far as they are sent at all; a list: only those of these columns. Needs replica identity full. Related fields are not among them',
    ),
  related: z.record(column, related).default({}).describe('field: what it lists from another table'),
  send_unchanged: z
    .boolean()
    .default(false)
    .describe('send also an UPDATE that is known to have changed nothing that is sent'),
  new_columns: newColumns.optional().describe('as new_columns of the whole file, for this entity'),
  on_truncate: z
    .enum(['report', 'delete'], 'must be report or delete')
    .default('report')
    .describe(
      'what a TRUNCATE of the table is, whose rows the WAL does not name. report: a line in the log and a metric; delete: a delete of every entity that walhook knows by the events that it keeps',
    ),
  backfill: z
    .enum(['new', 'update'], 'must be new or update')
    .default('new')
    .describe('what `walhook backfill` tells a row as that was there all along'),
}).superRefine(({ fields, new_columns, last }, context) => {
  for (const [i, name] of (Array.isArray(last) ? last : []).entries())
    if (fields.omit.includes(name) || (Array.isArray(fields.include) && !fields.include.includes(name)))
      context.addIssue({
        code: 'custom',
        message: `names ${name}, which fields leaves out: send it there, or remove it here`,
        path: ['last', i],
      })
  if (fields.include === 'all' && new_columns === 'ignore')
    context.addIssue({
      code: 'custom',
      message: 'says the opposite of fields.include: all. Remove one of them',
      path: ['new_columns'],
    })
})

const mappingFile = words({
  version: z
    .literal(2, 'version must be 2, or left out')
    .optional()
    .describe('2: new_columns is ignore where nothing says otherwise; left out: it is send'),
  new_columns: newColumns
    .optional()
    .describe(
      'what becomes of columns that are added to a table after walhook has looked at it for the first time. send: they are judged like all others, and the log names them; ignore: only those that the mapping names are sent, and those of entities with include: all. Default: ignore in a file of version 2, else send',
    ),
  entities: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]*$/, 'an entity type is lower-case letters, digits and _'),
      entity,
    )
    .refine(entities => Object.keys(entities).length > 0, { message: 'must name at least one entity' }),
})

/** What becomes of new columns where the file says nothing. */
const usualNewColumns = ({ version }: { version?: 2 | undefined }) => (version === 2 ? 'ignore' : 'send')

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
        at: issue.path[0] === 'version' ? 'the file' : issue.path.join('.') || 'the file',
        message: issue.message,
      })),
    }
  const mapping = Object.entries(parsed.data.entities).map(([entityType, given]) => {
    const {
      related,
      where,
      deleted_when,
      last,
      send_unchanged,
      on_truncate,
      new_columns,
      backfill,
      fields,
      tenant,
      ...rest
    } = given
    const { format, include, fixed, ...others } = fields
    const rules = {
      ...others,
      include: include === 'all' ? null : include,
      ...(fixed && { fixed: toJsonTexts(fixed) }),
    }
    const newColumns =
      include === 'all' ? 'send' : (new_columns ?? parsed.data.new_columns ?? usualNewColumns(parsed.data))
    return {
      entityType,
      ...rest,
      fields: { ...rules, ...(format && { format }) },
      related: Object.entries(related).map(([field, list]) => toRelatedList(field, list)),
      ...((where || deleted_when) && {
        rows: { where: readConditions(where), deletedWhen: readConditions(deleted_when) },
      }),
      ...(last !== false && { last: last === true ? ('all' as const) : last }),
      ...(tenant !== undefined && { tenant }),
      sendsUnchanged: send_unchanged,
      ...(newColumns === 'ignore' && { ignoresNewColumns: true }),
      ...(on_truncate === 'delete' && { deletesOnTruncate: true }),
      ...(backfill === 'update' && { backfillAs: backfill }),
    }
  })
  return { ok: true, mapping }
}

const toJsonTexts = (values: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(values).map(([field, value]) => [field, JSON.stringify(value)]))

function toOrder(given: z.output<typeof order>): RowOrder[] {
  if (Array.isArray(given)) return given.map(column => ({ column, descends: false }))
  return Object.entries(given).map(([column, direction]) => ({ column, descends: direction === 'desc' }))
}

function toRelatedList(field: string, list: z.output<typeof related>): RelatedList {
  const { table, owner, value, fields, key, include, repeated, order_by, where, nulls, rename, format } = list
  return {
    field,
    table,
    owner,
    columns: value === undefined ? fields! : [value],
    plain: value !== undefined,
    ...(key !== undefined && { key }),
    ...(include && { names: include }),
    ...(repeated === 'list' && { repeats: true }),
    ...(order_by && { order: toOrder(order_by) }),
    ...(where && { where: readConditions(where) }),
    ...(nulls === 'keep' && { keepsNulls: true }),
    ...(rename && { rename }),
    ...(format && { format }),
  }
}

/** The form of a mapping file as a JSON Schema, for editors. https://json-schema.org/draft/2020-12 */
export function mappingFileSchema(): object {
  const { $schema, ...schema } = z.toJSONSchema(mappingFile, { io: 'input' })
  return { $schema, title: 'The mapping file of walhook (walhook.yaml)', ...schema }
}
