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
  table: table.describe('a table on the way to the related rows, as one that joins two others'),
  owner: keyColumns
    .optional()
    .describe(
      "its column that holds the entity's key, or a list of those that hold a key of several columns; behind another table, the value of the column that leads here (id where it is left out)",
    ),
  to: z
    .string('must name its column that names a row of the next table')
    .min(1, 'must not be empty')
    .describe('its column that names a row of the next table'),
  where: conditions.optional().describe('as where of an entity: only rows that match lead on'),
  order_by: order.optional().describe('by which of its columns the related rows are ordered first'),
})

const mostHops = 3
const step = z.union(
  [column, hop],
  'must be a column of the entity, or a table on the way: {table: …, owner: …, to: …}',
)
const through = z.union(
  [column, hop, z.array(step).min(1).max(mostHops, `may have ${mostHops} parts at most`)],
  'must be a column of the entity, a table on the way ({table: …, owner: …, to: …}), or a list of these in their order',
)

export const related = words({
  table: table.describe('the table of the related rows'),
  owner: keyColumns
    .optional()
    .describe(
      "its column that holds the entity's key, or a list of those that hold a key of several columns, in their order; behind other tables (through), the value that leads here (id where it is left out)",
    ),
  on: z
    .record(column, column)
    .refine(pairs => Object.keys(pairs).length > 0, 'must have at least one pair')
    .optional()
    .describe(
      "in place of owner: its column: the column of the entity's key that it holds, for each column of the key",
    ),
  through: through
    .optional()
    .describe(
      'the way to the table, where its rows do not hold the key of the entity: a column of the entity that names a row of it (company_id), a table that joins both ({table, owner, to}), or a list of such parts, at most three',
    ),
  one: z
    .boolean()
    .optional()
    .describe(
      'true: the field is its first row, or null where it has none; false: a list of all. Default: true where through begins with a column of the entity and names no owner, else false',
    ),
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
  const refuse: Refuse = (message, ...path) => context.addIssue({ code: 'custom', message, path })
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
  refuseHops(list, refuse)
  if (list.one === true && key !== undefined)
    refuse('is the first row alone, and key makes one object of all rows: remove one of them', 'one')
  const isOfValues = listsValues({
    one: isOne(list),
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
      "must name its column that holds the entity's key (where it has none, say how to get there under through)",
      'owner',
    )
  const at = (i: number) => (Array.isArray(through) ? ['through', i] : ['through'])
  for (const [i, part] of partsOf(list).entries())
    if (typeof part === 'string' && i > 0)
      refuse(
        `${JSON.stringify(part)} is a column of the entity, which comes first: behind it, write {table: …, to: …}`,
        ...at(i),
      )
    else if (typeof part === 'object' && i === 0 && part.owner === undefined)
      refuse("must name its column that holds the entity's key", ...at(i), 'owner')
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

/** A related field, parsed. */
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
      ...{ table: part.table, owner: part.owner ?? usualKey, to: part.to },
      ...(part.where && { where: readConditions(part.where) }),
      ...(part.order_by && { order: toOrder(part.order_by) }),
    }
  })
  return {
    field,
    table,
    owner: owner ?? (on ? ownerOn(on, entity.key) : usualKey),
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
    if (i > 0 && count > 1) refuse(`names ${named}: behind another table, one column leads on`, ...path)
    if (i === 0 && count !== names.length)
      refuse(
        `names ${named}, and the key has ${names.length === 1 ? 'one column' : `${names.length} columns`} (${names.join(', ')}): name a column for each, in this order`,
        ...path,
      )
  }
  if (on === undefined) return
  const held = Object.values(on)
  const wrong = held.filter(name => !names.includes(name)).map(name => withNearest(name, names))
  const lacking = names.filter(name => !held.includes(name))
  if (wrong.length > 0)
    refuse(`names ${wrong.join(', ')}, which is no column of the key (${names.join(', ')})`, 'on')
  else if (lacking.length > 0)
    refuse(`lacks the column ${lacking.join(', ')} of the key (${names.join(', ')})`, 'on')
  else if (held.length > names.length) refuse('names a column of the key twice', 'on')
}

/** The default column that a reference refers to. */
const usualKey = 'id'
