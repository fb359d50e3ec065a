import { z } from 'zod'
import { conditions, readConditions } from './condition-words.ts'
import { columnsOfKey, type KeyColumns, keyName } from './entity-key.ts'
import { type Hop, listsValues, type RelatedList, type TableName } from './mapping.ts'
import {
  column,
  format,
  keyColumns,
  order,
  rename,
  table,
  toOrder,
  withNearest,
  words,
} from './mapping-words.ts'

const hop = words({
  table: table.describe('a table on the path to the related rows, such as a join table'),
  owner: keyColumns
    .optional()
    .describe(
      "its column with the entity's key, or a list of columns for a composite key; after another table, its column with the value of `to` of that table (default: id)",
    ),
  to: z
    .string('must name its column that refers to the next table')
    .min(1, 'must not be empty')
    .describe('its column that refers to a row of the next table'),
  where: conditions.optional().describe('like where of an entity: only matching rows are followed'),
  order_by: order.optional().describe('its columns that order the related rows first'),
})

const maxHops = 3
const step = z.union(
  [column, hop],
  'must be a column of the entity, or a table on the path: {table: …, owner: …, to: …}',
)
const through = z.union(
  [column, hop, z.array(step).min(1).max(maxHops, `may have ${maxHops} parts at most`)],
  'must be a column of the entity, a table on the path ({table: …, owner: …, to: …}), or a list of these in order',
)

export const related = words({
  table: table.describe('the table of the related rows'),
  owner: keyColumns
    .optional()
    .describe(
      "its column with the entity's key, or a list of columns for a composite key, in order; after other tables (through), its column with the value of `to` of the last one (default: id)",
    ),
  on: z
    .record(column, column)
    .refine(pairs => Object.keys(pairs).length > 0, 'must have at least one pair')
    .optional()
    .describe(
      "instead of owner: its column: the column of the entity's key with the same value, for each column of the key",
    ),
  through: through
    .optional()
    .describe(
      'the path to the table, if its rows do not contain the key of the entity: a column of the entity that refers to it (company_id), a join table ({table, owner, to}), or a list of such parts, at most three',
    ),
  one: z
    .boolean()
    .optional()
    .describe(
      'true: the field is the first row, or null; false: a list of all rows. Default: true if through begins with a column of the entity and no part names an owner, else false',
    ),
  value: column.optional().describe('one column: the field is a list of its values'),
  key: column
    .optional()
    .describe(
      'with value: the field is an object instead of a list, and this column contains its names; of two rows with the same name, the last counts',
    ),
  include: z
    .array(z.string())
    .min(1, 'must contain at least one name')
    .optional()
    .describe('with key: only these names. Default: all names that do not look like credentials'),
  fields: z
    .array(column)
    .min(1, 'must name at least one column')
    .optional()
    .describe('several columns: the field is a list of objects'),
  repeated: z
    .enum(['last', 'list'], 'must be last or list')
    .optional()
    .describe(
      'with key: several rows with the same name. last: the last counts; list: each name has a list of its values, even of one',
    ),
  order_by: order
    .optional()
    .describe(
      'the column that orders the rows, a list of columns, or column: asc or desc; then the primary key, which is also the default',
    ),
  where: conditions
    .optional()
    .describe(
      'like where of an entity: only matching rows of the related table are sent. A row that starts or stops matching is an update of its owner',
    ),
  nulls: z
    .enum(['omit', 'keep'], 'must be omit or keep')
    .optional()
    .describe('in a list of single values, a row without a value. omit: no item; keep: a null'),
  rename: rename.optional(),
  format: format.optional(),
}).superRefine((list, context) => {
  const { value, key, include, repeated, fields, nulls } = list
  const refuse: Refuse = (message, ...path) => context.addIssue({ code: 'custom', message, path })
  if ((value === undefined) === (fields === undefined))
    refuse(
      'must have either value (one column: a list of its values; with key: an object) or fields (columns: a list of objects)',
    )
  if (key !== undefined && value === undefined)
    refuse('names the fields of an object, whose values are in the column value: name that too', 'key')
  if (include !== undefined && key === undefined)
    refuse('contains names from the column key: name that too', 'include')
  if (repeated !== undefined && key === undefined)
    refuse('is for rows with the same name: name the column of the names under key', 'repeated')
  refuseHops(list, refuse)
  if (list.one === true && key !== undefined)
    refuse('takes the first row only, but key makes one object of all rows: remove one of them', 'one')
  const isOfValues = listsValues({
    one: isOne(list),
    plain: value !== undefined,
    ...(key && { key }),
    repeats: repeated === 'list',
  })
  if (nulls !== undefined && !isOfValues)
    refuse(
      'is for lists of single values (value, or key with repeated: list): remove it, because objects show a null as null',
      'nulls',
    )
  if (list.rename && fields === undefined) refuse('renames fields, but fields is absent', 'rename')
  for (const rule of ['rename', 'format'] as const)
    for (const named of Object.keys(list[rule] ?? {}))
      if (!(fields ?? [value]).includes(named)) refuse(`is not one of the columns of this field`, rule, named)
})

type Given = z.output<typeof related>
type Refuse = (message: string, ...path: (string | number)[]) => void
type Parts = {
  readonly through?: z.output<typeof through> | undefined
  readonly owner?: KeyColumns | undefined
}

const partsOf = ({ through = [] }: Parts) => (Array.isArray(through) ? through : [through])

/** Whether a related field is one row by default: the entity refers to that row by keys alone. */
function isOne(
  list: Parts & { readonly one?: boolean | undefined; readonly key?: string | undefined },
): boolean {
  const [first, ...others] = partsOf(list)
  const namesOwner = [...others, list].some(part => typeof part === 'object' && part.owner !== undefined)
  return list.one ?? (list.key === undefined && typeof first === 'string' && !namesOwner)
}

function refuseHops(list: Parts & { readonly on?: object | undefined }, refuse: Refuse) {
  const { through, owner, on } = list
  if (on !== undefined && (through !== undefined || owner !== undefined))
    refuse(`says the same as ${owner === undefined ? 'through' : 'owner'}: remove one of them`, 'on')
  if (through === undefined && owner === undefined && on === undefined)
    refuse(
      "must name its column with the entity's key (without one, describe the path under through)",
      'owner',
    )
  const at = (i: number) => (Array.isArray(through) ? ['through', i] : ['through'])
  for (const [i, part] of partsOf(list).entries())
    if (typeof part === 'string' && i > 0)
      refuse(
        `${JSON.stringify(part)} is a column of the entity, which must come first: after it, write {table: …, to: …}`,
        ...at(i),
      )
    else if (typeof part === 'object' && i === 0 && part.owner === undefined)
      refuse("must name its column with the entity's key", ...at(i), 'owner')
}

/** The issues of the branch of a union that the file meant, if it is clear. */
export function branchesOf(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union' || !issue.path.includes('through')) return [issue]
  const isMeant = (all: readonly z.core.$ZodIssue[]) =>
    all.every(({ code, path }) => path.length > 0 || code !== 'invalid_type')
  const meant = issue.errors.find(isMeant)
  if (!meant) return [issue]
  return meant.flatMap(inner => branchesOf({ ...inner, path: [...issue.path, ...inner.path] }))
}

export function toRelatedList(
  field: string,
  list: Given,
  entity: { readonly table: TableName; readonly key: KeyColumns },
): RelatedList {
  const { table, owner, on, value, fields, key, include, repeated, order_by, where, nulls, rename, format } =
    list
  const hops = partsOf(list).map((part): Hop => {
    if (typeof part === 'string') return { table: entity.table, owner: entity.key, to: part }
    return {
      ...{ table: part.table, owner: part.owner ?? defaultKey, to: part.to },
      ...(part.where && { where: readConditions(part.where) }),
      ...(part.order_by && { order: toOrder(part.order_by) }),
    }
  })
  return {
    field,
    table,
    owner: owner ?? (on ? ownerOn(on, entity.key) : defaultKey),
    ...(hops.length > 0 && { through: hops }),
    ...(isOne(list) && { one: true }),
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

/** The columns that contain the key, in its order. */
function ownerOn(on: Readonly<Record<string, string>>, key: KeyColumns): KeyColumns {
  const holding = (name: string) => Object.keys(on).find(column => on[column] === name)!
  return typeof key === 'string' ? holding(key) : key.map(holding)
}

/** Each column of the entity's key needs one column of the first table; later hops have one column. */
export function refuseOwner(list: Given, key: KeyColumns, refuse: Refuse): void {
  const names = columnsOfKey(key)
  const { on, through } = list
  const parts = [...partsOf(list), list]
  for (const [i, part] of parts.entries()) {
    if (typeof part === 'string' || part.owner === undefined) continue
    const path = part === list ? ['owner'] : ['through', ...(Array.isArray(through) ? [i] : []), 'owner']
    const count = columnsOfKey(part.owner).length
    const named = keyName(part.owner)
    if (i > 0 && count > 1) refuse(`names ${named}: after another table, owner is one column`, ...path)
    if (i === 0 && count !== names.length)
      refuse(
        `names ${named}, but the key has ${names.length === 1 ? 'one column' : `${names.length} columns`} (${names.join(', ')}): name a column for each, in this order`,
        ...path,
      )
  }
  if (on === undefined) return
  const held = Object.values(on)
  const wrong = held.filter(name => !names.includes(name)).map(name => withNearest(name, names))
  const lacking = names.filter(name => !held.includes(name))
  if (wrong.length > 0)
    refuse(`names ${wrong.join(', ')}, which is not in the key (${names.join(', ')})`, 'on')
  else if (lacking.length > 0)
    refuse(`lacks the column ${lacking.join(', ')} of the key (${names.join(', ')})`, 'on')
  else if (held.length > names.length) refuse('names a column of the key twice', 'on')
}

/** The default column that a reference refers to. */
const defaultKey = 'id'
