import { z } from 'zod'
import { conditions, readConditions } from './condition-words.ts'
import type { EntityMapping } from './mapping.ts'
import { column, format, keyColumns, label, rename, table, words } from './mapping-words.ts'
import { branchesOf, refuseOwner, related, toRelatedList } from './related-words.ts'

const fixedValue = z
  .json('must be a text, a number, true, false, null, or a list or object of them')
  .refine(
    value => !hasInexactNumber(value),
    'contains a number with more digits than JSON readers keep: write it in quotes',
  )

function hasInexactNumber(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasInexactNumber)
}

const newColumns = z.enum(['send', 'ignore'], 'must be send or ignore')

const entity = words({
  table: table.describe('name, schema.name, or {schema, name}'),
  key: keyColumns
    .default('id')
    .describe('the column whose value is entity_id, or a list of columns whose values form it'),
  fields: words({
    include: z
      .union([z.literal('all'), z.array(column).min(1)], 'must be all, or a list of at least one column')
      .nullable()
      .default(null)
      .describe(
        'a list: only these columns, in this order. all: every column that does not look like a credential, also later ones. Default: the same, but new_columns decides about later ones',
      ),
    omit: z.array(column).default([]).describe('columns that are not sent'),
    rename: rename.default({}),
    format: format.optional(),
    fixed: z
      .record(column, fixedValue)
      .optional()
      .describe('field: a constant value, for every entity of the type'),
  }).default({ include: null, omit: [], rename: {} }),
  tenant: column
    .optional()
    .describe(
      'the column with the tenant of the entity, such as organisation_id: only webhooks and tokens of that tenant get or see it. Null or empty: no tenant',
    ),
  label: label
    .optional()
    .describe(
      'the fields that name an entity on the pages, beside its id, such as name_first name_last: separated by spaces, or a list',
    ),
  where: conditions
    .optional()
    .describe(
      'column: the value, or one of a list of values, that it must have; null, not null, or operators (=, in, not, <, <=, >, >=). Only matching rows are sent: a row that starts to match is sent as new, one that stops matching as delete',
    ),
  deleted_when: conditions
    .optional()
    .describe('like where: a row that matches counts as deleted, such as deleted_at: not null'),
  last: z
    .union([z.boolean(), z.array(column).min(1)], 'must be true, false, or a list of at least one column')
    .default(false)
    .describe(
      'true: a delete has `last`, the last values of the sent columns; a list: only of these columns. Needs replica identity full. Contains no related fields',
    ),
  related: z.record(column, related).default({}).describe('field: its content from another table'),
  send_unchanged: z.boolean().default(false).describe('also send an UPDATE that changed no sent value'),
  new_columns: newColumns.optional().describe('like new_columns of the whole file, for this entity'),
  on_truncate: z
    .enum(['report', 'delete'], 'must be report or delete')
    .default('report')
    .describe(
      'the effect of a TRUNCATE, for which the WAL names no rows. report: a log line and a metric; delete: a delete of every entity of the stored events',
    ),
  backfill: z
    .enum(['new', 'update'], 'must be new or update')
    .default('new')
    .describe('the action of the events that `walhook backfill` sends'),
}).superRefine(({ key, related, fields, new_columns, last }, context) => {
  for (const [field, list] of Object.entries(related))
    refuseOwner(list, key, (message, ...path) =>
      context.addIssue({ code: 'custom', message, path: ['related', field, ...path] }),
    )
  for (const [i, name] of (Array.isArray(last) ? last : []).entries())
    if (fields.omit.includes(name) || (Array.isArray(fields.include) && !fields.include.includes(name)))
      context.addIssue({
        code: 'custom',
        message: `names ${name}, which fields does not send: send it there, or remove it here`,
        path: ['last', i],
      })
  if (fields.include === 'all' && new_columns === 'ignore')
    context.addIssue({
      code: 'custom',
      message: 'contradicts fields.include: all. Remove one of them',
      path: ['new_columns'],
    })
})

const mappingFile = words({
  version: z
    .literal(2, 'version must be 2, or absent')
    .optional()
    .describe('2: the default of new_columns is ignore; absent: it is send'),
  new_columns: newColumns
    .optional()
    .describe(
      'columns added after walhook first read the table. send: they are sent unless they look like credentials, and the log names them; ignore: they are sent only if the mapping names them, or with include: all. Default: ignore in a file of version 2, else send',
    ),
  entities: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]*$/, 'an entity type has only lower-case letters, digits and _'),
      entity,
    )
    .refine(entities => Object.keys(entities).length > 0, { message: 'must name at least one entity' }),
})

const defaultNewColumns = ({ version }: { version?: 2 | undefined }) => (version === 2 ? 'ignore' : 'send')

type MappingFileResult =
  | { readonly ok: true; readonly mapping: readonly EntityMapping[] }
  | { readonly ok: false; readonly problems: readonly { readonly at: string; readonly message: string }[] }

/** Reads a mapping file, parsed from YAML or JSON. Every problem names its path, as `entities.user.table`. */
export function readMappingFile(content: unknown): MappingFileResult {
  const parsed = mappingFile.safeParse(content)
  if (!parsed.success)
    return {
      ok: false,
      problems: parsed.error.issues.flatMap(branchesOf).map(issue => ({
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
      label,
      ...rest
    } = given
    const { format, include, fixed, ...others } = fields
    const rules = {
      ...others,
      include: include === 'all' ? null : include,
      ...(fixed && { fixed: toJsonTexts(fixed) }),
    }
    const newColumns =
      include === 'all' ? 'send' : (new_columns ?? parsed.data.new_columns ?? defaultNewColumns(parsed.data))
    return {
      entityType,
      ...rest,
      fields: { ...rules, ...(format && { format }) },
      related: Object.entries(related).map(([field, list]) => toRelatedList(field, list, given)),
      ...((where || deleted_when) && {
        rows: { where: readConditions(where), deletedWhen: readConditions(deleted_when) },
      }),
      ...(last !== false && { last: last === true ? ('all' as const) : last }),
      ...(tenant !== undefined && { tenant }),
      ...(label && { label }),
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

export function mappingFileSchema(): object {
  const { $schema, ...schema } = z.toJSONSchema(mappingFile, { io: 'input' })
  return { $schema, title: 'The mapping file of walhook (walhook.yaml)', ...schema }
}
