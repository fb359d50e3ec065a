import { parse } from 'yaml'
import { columnsOfKey, type KeyColumns } from './entity-key.ts'
import type { Draft, DraftColumn, DraftEntity, DraftList } from './first-mapping.ts'
import type { TableName } from './mapping.ts'

/** The maximum number of other tables that are named. */
const maxOthers = 50

/** The text of a first mapping file: a person's decisions are comments, with the reason. */
export function mappingText(
  { entities, others }: Draft,
  about: { database: string; notes: readonly string[] },
): string {
  const lines = [
    `# A first mapping of the database ${oneLine(about.database)}, guessed from its catalogue by: walhook map`,
    '# 1. Read it. Commented lines are not sent, each for the reason beside it. Nor are columns that a migration adds later.',
    '# 2. Save it as walhook.yaml, or name it in WALHOOK_CONFIG.',
    "# 3. Let the tables' owner or a superuser run the output of: walhook check --sql",
    '# 4. Look for remaining problems: walhook check',
    ...about.notes.map(note => `# ${oneLine(note)}`),
    'version: 2',
    ...(entities.length === 0 ? noEntity : ['entities:']),
    ...entities.flatMap(entityLines),
    ...otherLines(others),
  ]
  return `${lines.join('\n')}\n`
}

const noEntity = [
  '# No table looks like users or companies. Name at least one, for example:',
  '# entities:',
  '#   order:',
  '#     table: orders',
]

function entityLines({ entityType, table, key, label, columns, related }: DraftEntity): string[] {
  const isNothingSent = columns.every(({ because }) => because !== null)
  const live = related.some(({ because }) => because === null)
  return [
    `  ${entityType}:`,
    `    table: ${tableText(table)}`,
    `    key: ${keyText(key)}`,
    ...(label.length === 0 ? [] : [`    label: ${labelText(label)}`]),
    '    fields:',
    '      include:',
    ...(isNothingSent ? keyLines(key) : []),
    ...columns
      .filter(({ name, because }) => !(isNothingSent && columnsOfKey(key).includes(name) && because !== null))
      .map(column => columnLine(column, '        ')),
    ...(related.length === 0 ? [] : [live ? '    related:' : '    # related:']),
    ...related.flatMap(list => listLines(list, key)),
  ]
}

const keyText = (key: KeyColumns) =>
  typeof key === 'string' ? scalar(key) : `[${key.map(scalar).join(', ')}]`
const labelText = (label: readonly string[]) =>
  label.every(name => scalar(name) === name) ? label.join(' ') : `[${label.map(scalar).join(', ')}]`
const keyLines = (key: KeyColumns) =>
  columnsOfKey(key).map(column => `        - ${scalar(column)} # its key, since nothing else is sent`)

/** The columns of a related table that contain the entity's key. */
function ownerText(owner: KeyColumns, key: KeyColumns): string {
  if (typeof owner === 'string') return `owner: ${scalar(owner)}`
  const pairs = owner.map((column, i) => `${scalar(column)}: ${scalar(columnsOfKey(key)[i]!)}`)
  return `on: { ${pairs.join(', ')} }`
}

function listLines(list: DraftList, ownerKey: KeyColumns): string[] {
  const { field, table, owner, through, value, key, columns, because } = list
  const head = [
    `table: ${tableText(table)}`,
    ...(through === null
      ? [ownerText(owner, ownerKey)]
      : [
          ...(owner === 'id' ? [] : [`owner: ${keyText(owner)}`]),
          `through: { table: ${tableText(through.table)}, owner: ${scalar(through.owner)}, to: ${scalar(through.to)} }`,
        ]),
    ...(key === null ? [] : [`key: ${scalar(key)}`]),
    ...(value === null ? [] : [`value: ${scalar(value)}`]),
  ]
  const lines = [
    `      ${scalar(field)}:${because === null ? '' : ` # ${oneLine(because)}`}`,
    ...head.map(line => `        ${line}`),
    ...(value === null
      ? ['        fields:', ...columns.map(column => columnLine(column, '          '))]
      : []),
  ]
  return because === null ? lines : lines.map(line => line.replace('      ', '      # '))
}

function columnLine({ name, because }: DraftColumn, indent: string): string {
  return because === null
    ? `${indent}- ${scalar(name)}`
    : `${indent}# - ${scalar(name)} # ${oneLine(because)}`
}

function otherLines(others: readonly TableName[]): string[] {
  if (others.length === 0) return []
  const named = others.slice(0, maxOthers).map(tableText).join(', ')
  const more = others.length > maxOthers ? `, and ${others.length - maxOthers} more` : ''
  return [`# Other tables that could be entities: ${named}${more}`]
}

/** A name of the catalogue may contain line breaks: a comment stays on one line. */
const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ').replaceAll(/[\p{Cc}]/gu, '?')

/** A name for YAML, quoted if YAML would read something else. */
function scalar(name: string): string {
  return /^[A-Za-z_][\w-]*$/.test(name) && parse(name) === name ? name : JSON.stringify(name)
}

function tableText({ schema, name }: TableName): string {
  if (/[.]/.test(schema + name)) return `{ schema: ${scalar(schema)}, name: ${scalar(name)} }`
  if (schema === 'public') return scalar(name)
  const both = `${schema}.${name}`
  return [schema, name].every(each => scalar(each) === each) ? both : JSON.stringify(both)
}
