import { type ColumnKind, looksLikeCredential } from './credentials.ts'
import { columnsOfKey, type KeyColumns, keyName } from './entity-key.ts'
import { type TableName, tableKey } from './mapping.ts'

export type KnownTable = {
  readonly name: TableName
  readonly columns: readonly {
    readonly name: string
    readonly kind: ColumnKind
    /** Why it is not sent before a person has checked it; null: it is sent. */
    readonly suspicion: string | null
  }[]
  /** The column, or columns, of the key; null: none. */
  readonly key: KeyColumns | null
  readonly references: readonly {
    readonly columns: readonly string[]
    readonly table: TableName
    readonly referenced: readonly string[]
  }[]
  /** The planner's estimate; null: unknown. */
  readonly rows: number | null
}

/** `because`: the reason for writing it as a comment; null: it is active. */
export type DraftColumn = { readonly name: string; readonly because: string | null }

export type DraftList = {
  readonly field: string
  readonly table: TableName
  readonly owner: KeyColumns
  /** The join table between the owner's rows and those of `table`; null: none. */
  readonly through: { readonly table: TableName; readonly owner: string; readonly to: string } | null
  /** One column, or, with a key, one object of it; otherwise a list of objects. */
  readonly value: string | null
  readonly key: string | null
  readonly columns: readonly DraftColumn[]
  readonly because: string | null
}

export type DraftEntity = {
  readonly entityType: 'user' | 'company'
  readonly table: TableName
  readonly key: KeyColumns
  /** The columns that people know a row by; there may be none. */
  readonly label: readonly string[]
  readonly columns: readonly DraftColumn[]
  readonly related: readonly DraftList[]
}

/** `others`: tables with a key without a guess. */
export type Draft = { readonly entities: readonly DraftEntity[]; readonly others: readonly TableName[] }

/** Names of the tables of users and companies, the likeliest first; the second of a pair scores less than the first. */
const names: Readonly<Record<DraftEntity['entityType'], readonly RegExp[]>> = {
  user: [
    /^users?$/,
    /^(.+_)?(custom_?users?|users?|user_entity|user_accounts?|gebruikers?|benutzer|utilisateurs?|usuarios?)$/,
    /^(.+_)?(members?|people|persons?|employees?|medewerkers?)$/,
    /^(.+_)?(accounts?|profiles?|customers?|contacts?|klanten)$/,
  ],
  company: [
    /^(companies|company)$/,
    /^(.+_)?(companies|company|bedrijven|bedrijf|firmen|entreprises?|empresas?)$/,
    /^(.+_)?(organi[sz]ations?|organi[sz]aties?|orgs?|firms?|businesses)$/,
    /^(.+_)?(tenants?|workspaces?|teams?|clients?|klanten)$/,
  ],
}

/** Guesses entities by table names, and their related values by foreign keys. */
export function draftMapping(tables: readonly KnownTable[]): Draft {
  const user = likeliest('user', tables, null)
  const company = likeliest('company', tables, user)
  const chosen = [
    ...(user ? [{ entityType: 'user' as const, table: user }] : []),
    ...(company ? [{ entityType: 'company' as const, table: company }] : []),
  ]
  const isChosen = (table: KnownTable) => chosen.some(each => each.table === table)
  const entities = chosen.map(({ entityType, table }) => ({
    entityType,
    table: table.name,
    key: table.key!,
    label: draftLabel(table.columns),
    columns: draftColumns(table.columns),
    related: draftLists(entityType, table, tables, isChosen),
  }))
  const others = tables
    .filter(table => table.key !== null && !isChosen(table) && !isJoin(table))
    .map(({ name }) => name)
  return { entities, others }
}

const isSameTable = (a: TableName, b: TableName) => tableKey(a) === tableKey(b)

/** `UserAccount` as `user_account`. */
const snakeCase = (name: string) => name.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()

function likeliest(
  entityType: DraftEntity['entityType'],
  tables: readonly KnownTable[],
  taken: KnownTable | null,
): KnownTable | null {
  const candidates = tables.filter(table => table.key !== null && table !== taken && !isJoin(table))
  const score = (table: KnownTable) => {
    const rank = names[entityType].findIndex(form => form.test(snakeCase(table.name.name)))
    if (rank < 0) return null
    const referrers = tables.filter(({ references }) =>
      references.some(each => isSameTable(each.table, table.name)),
    )
    const inPublic = table.name.schema === 'public' ? 5 : 0
    return 100 * (names[entityType].length - rank) + Math.min(50, referrers.length) + inPublic
  }
  const scored = candidates.flatMap(table => {
    const points = score(table)
    return points === null ? [] : [{ table, points }]
  })
  return (
    scored.reduce<(typeof scored)[number] | null>(
      (best, each) => (best === null || each.points > best.points ? each : best),
      null,
    )?.table ?? null
  )
}

/** A table that only joins rows of two others. */
function isJoin({ columns, references, key }: KnownTable): boolean {
  const referring = new Set(references.flatMap(each => each.columns))
  const ofKey = columnsOfKey(key ?? [])
  const own = columns.filter(
    ({ name, kind }) => !ofKey.includes(name) && kind !== 'moment' && !referring.has(name),
  )
  return referring.size >= 2 && own.length === 0
}

const draftColumns = (columns: KnownTable['columns']): DraftColumn[] =>
  columns.map(({ name, suspicion }) => ({ name, because: suspicion }))

const nameOfFirst = /^(first_?name|name_?first|given_?name|voornaam|vorname|prenom)$/
const nameOfInfix = /^((name_)?infix|tussenvoegsels?)$/
const nameOfLast = /^(last_?name|name_?last|family_?name|surname|achternaam|nachname)$/
const nameOfWhole = /^(full_?name|display_?name|name|naam|title|titel)$/

/** A first and a last name, or one name, as far as they are sent. */
function draftLabel(columns: KnownTable['columns']): string[] {
  const sent = columns.filter(({ kind, suspicion }) => kind === 'text' && suspicion === null)
  const find = (form: RegExp) => sent.filter(({ name }) => form.test(snakeCase(name))).map(({ name }) => name)
  const [first, last] = [find(nameOfFirst), find(nameOfLast)]
  if (first[0] && last[0]) return [first[0], ...find(nameOfInfix).slice(0, 1), last[0]]
  return [...find(nameOfWhole), ...first, ...last].slice(0, 1)
}

/** A column that names the row's value, beside its owner. */
const nameOfName = /^(name|key|field|field_?name|attribute|property|meta_?key|label)$/i
const nameOfValue = /^(value|val|meta_?value|content|data)$/i
const nameOfOrder = /^_?(position|order|sort|ordinal|rank|parent_order)$/i

const nameOfRow = /^(name|title|label|display_?name|naam|titel)$/i

/** An owner with more rows than this has no value in them. */
const maxRowsOfOne = 100

function draftLists(
  entityType: DraftEntity['entityType'],
  owner: KnownTable,
  tables: readonly KnownTable[],
  isEntity: (table: KnownTable) => boolean,
): DraftList[] {
  const taken = new Set(owner.columns.map(({ name }) => name))
  // A comment takes no field name from an active field.
  return tables
    .filter(table => table !== owner)
    .toSorted((a, b) => Number(isEntity(a)) - Number(isEntity(b)))
    .flatMap(table => {
      const named = table.references
        .filter(each => isSameTable(each.table, owner.name))
        .flatMap(({ columns, referenced }) => ownerOf(columns, referenced) ?? [])
      const owners = [...new Map(named.map(each => [keyName(each), each])).values()]
      return owners.map(each => draftList(table, each, named.length > 1))
    })

  /** A reference's columns in the order of the referenced key; null: it references another one. */
  function ownerOf(columns: readonly string[], referenced: readonly string[]): [KeyColumns] | null {
    const key = columnsOfKey(owner.key!)
    if (referenced.length !== key.length || !key.every(column => referenced.includes(column))) return null
    const holding = key.map(column => columns[referenced.indexOf(column)]!)
    return [typeof owner.key === 'string' ? holding[0]! : holding]
  }

  function draftList(table: KnownTable, ownerKey: KeyColumns, isOneOfSeveral: boolean): DraftList {
    const drafted = contentOf(table, columnsOfKey(ownerKey))
    const ownerColumn = columnsOfKey(ownerKey).join('_')
    const isValue = drafted.value !== null && drafted.key === null
    const isOfValue = (columns: readonly string[]) =>
      columns.filter(column => !columnsOfKey(ownerKey).includes(column)).join() === drafted.value
    const target = table.references.find(each => isOfValue(each.columns))?.table.name
    const plain = isValue && target !== undefined ? target : withoutPrefix(table.name.name, entityType, owner)
    const field = freeName(isOneOfSeveral ? `${plain}_by_${ownerColumn}` : plain, taken)
    taken.add(field)
    const named = isValue && typeof ownerKey === 'string' ? nameOfJoined(table, drafted.value) : null
    const columns = named ? named.columns : drafted.columns
    const because = whyLeftOut(table, ownerColumn, columns)
    const direct = { ...drafted, field, table: table.name, owner: ownerKey, through: null, because }
    if (!named) return direct
    const through = { table: table.name, owner: ownerColumn, to: named.to }
    return {
      ...direct,
      table: named.table.name,
      owner: named.owner,
      through,
      value: named.columns[0].name,
      columns,
    }
  }

  /** The label column of a row behind a join table. An entity is referred to by its id. */
  function nameOfJoined(joining: KnownTable, to: string | null) {
    const reference = joining.references.find(({ columns }) => columns.join() === to)
    const table = reference && tables.find(({ name }) => isSameTable(name, reference.table))
    if (to === null || !table || isEntity(table) || joining.references.length !== 2) return null
    const [column] = table.columns.filter(
      ({ name, kind, suspicion }) => kind === 'text' && suspicion === null && nameOfRow.test(name),
    )
    const [owner] = reference.referenced
    if (!column || owner === undefined || reference.referenced.length > 1) return null
    return { table, to, owner, columns: [{ name: column.name, because: null }] as const }
  }

  function whyLeftOut(
    table: KnownTable,
    ownerColumn: string,
    columns: readonly DraftColumn[],
  ): string | null {
    if (isEntity(table)) return `it is an entity itself, and its ${ownerColumn} already says so`
    if (looksLikeCredential(table.name.name)) return 'its name looks like a credential'
    const [suspected] = columns.filter(({ because }) => because !== null)
    if (columns.every(({ because }) => because !== null))
      return suspected ? `${suspected.name}: ${suspected.because}` : 'its rows contain nothing else'
    const each = table.rows === null || !owner.rows ? 0 : table.rows / owner.rows
    return each > maxRowsOfOne ? `it has about ${Math.round(each)} rows for each ${entityType}` : null
  }
}

/** The columns that a related field shows, and in which form. */
function contentOf(
  table: KnownTable,
  owner: readonly string[],
): Pick<DraftList, 'value' | 'key' | 'columns'> {
  const isReference = (name: string) => table.references.some(({ columns }) => columns.includes(name))
  const own = table.columns.filter(({ name }) => !owner.includes(name))
  const content = own.filter(
    ({ name, kind }) =>
      (!columnsOfKey(table.key ?? []).includes(name) || isReference(name)) &&
      kind !== 'moment' &&
      !nameOfOrder.test(name),
  )
  if (content.length === 1) return { value: content[0]!.name, key: null, columns: draftColumns(content) }
  const key = content.filter(({ name, kind }) => kind === 'text' && nameOfName.test(name))
  const value = content.filter(({ name }) => nameOfValue.test(name))
  if (key.length === 1 && value.length === 1)
    return { value: value[0]!.name, key: key[0]!.name, columns: draftColumns(value) }
  return { value: null, key: null, columns: draftColumns(own) }
}

/** `user_fields` of a user as `fields`. */
function withoutPrefix(name: string, entityType: string, owner: KnownTable): string {
  const prefixes = [owner.name.name, entityType].map(each => `${snakeCase(each)}_`)
  const plain = snakeCase(name)
  const prefix = prefixes.find(each => plain.startsWith(each) && plain.length > each.length)
  return prefix === undefined ? name : plain.slice(prefix.length)
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? wanted : n === 2 ? `${wanted}_list` : `${wanted}_list_${n - 1}`
    if (!taken.has(name)) return name
  }
}
