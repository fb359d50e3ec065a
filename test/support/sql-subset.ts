import { parseAst } from 'vitest/node'

/** The tables that main alone writes: the accounts, the registry of cells, and what capture notes. */
const ofMain = [
  ...['tokens', 'sessions', 'session_links', 'used_sign_ins', 'idempotency_keys', 'mail_addresses'],
  ...[
    'cells',
    'placements',
    'captured',
    'source_columns',
    'known_columns',
    'fan_outs',
    'credential_checksums',
  ],
  ...['gaps', 'parked_changes', 'backfills', 'resyncs', 'captured_lists'],
]
const isOfCell = (table: string) =>
  table.startsWith('walhook.') && !ofMain.includes(table.slice('walhook.'.length))

/** The tables of what is delivered, which grow with webhooks × events: they have no trigger, and refer to no other table. */
export const deliveryTables: readonly string[] = [
  ...[
    'deliveries',
    'batches',
    'attempts',
    'attempt_heads',
    'ended_deliveries',
    'shares',
    'streams',
    'holders',
  ],
]

/** Tables whose ids an admin sees, or that are of a sequence of `int`: a default would be computed on the other node. */
const numbered = ['audit', 'incidents', 'alert_mails', 'skips', 'replays']

/** Functions whose result changes within a transaction. */
const volatile = /\b(?:clock_timestamp|timeofday|random|gen_random_uuid|nextval|walhook\.new_time_id)\(/
const changing =
  /\b(?:now|clock_timestamp|statement_timestamp|timeofday|random|gen_random_uuid|nextval|walhook\.new_time_id|pg_notify)\(|\bcurrent_timestamp\b/
const isSql = /\b(?:select|insert|update|delete|returning|exists|alter table)\b/i
const withoutComments = (text: string) => text.replace(/--[^\n]*|\/\*.*?\*\//gs, '')

type Node = { type: string; start: number; [key: string]: unknown }

function nodesOf(root: unknown): Node[] {
  const nodes: Node[] = []
  const visit = (value: unknown) => {
    if (Array.isArray(value)) value.forEach(visit)
    else if (value && typeof value === 'object') {
      if ('type' in value) nodes.push(value as Node)
      Object.values(value).forEach(visit)
    }
  }
  visit(root)
  return nodes
}

const textsOf = (node: Node): string[] => {
  if (node.type === 'Literal') return typeof node.value === 'string' ? [node.value] : []
  if (node.type !== 'TemplateLiteral') return []
  return (node.quasis as { value: { cooked: string } }[]).map(({ value }) => value.cooked)
}
const namesIn = (nodes: readonly Node[]) =>
  nodes.filter(({ type }) => type === 'Identifier').map(({ name }) => name as string)

type Part = { readonly isExported: boolean; readonly text: string; readonly names: readonly string[] }

/** A file of TypeScript with its constants, which may be parts of statements. */
function parse(path: string, text: string) {
  const { body } = parseAst(text, { lang: 'ts' }, path) as unknown as { body: Node[] }
  const parts = new Map<string, Part>()
  for (const outer of body) {
    const isExported = outer.type === 'ExportNamedDeclaration'
    const { type, declarations } = (isExported && outer.declaration ? outer.declaration : outer) as Node
    if (type !== 'VariableDeclaration') continue
    for (const { id, init } of declarations as { id: { name: string }; init: unknown }[]) {
      const inner = nodesOf(init)
      const put = inner
        .filter(each => each.type === 'TemplateLiteral')
        .flatMap(each => nodesOf(each.expressions))
      const sql = withoutComments(inner.flatMap(textsOf).join(' '))
      parts.set(id.name, { isExported, text: sql, names: namesIn(put) })
    }
  }
  return { path, text, parts, nodes: nodesOf(body) }
}

/** A text of SQL in a file; what was put into it is `unknown`, or `now()` where that calls a function whose result changes. */
export type Sql = { readonly where: string; readonly text: string }

/** All SQL of these files, by their paths. */
export function sqlOf(files: Readonly<Record<string, string>>): Sql[] {
  const parsed = Object.entries(files).map(([path, text]) => parse(path, text))
  const exported = new Map(
    parsed.flatMap(({ parts }) => [...parts].filter(([, { isExported }]) => isExported)),
  )
  const changes = new Set<Part>()
  const find = (file: (typeof parsed)[number], name: string) => file.parts.get(name) ?? exported.get(name)
  const doesChange = (file: (typeof parsed)[number], names: readonly string[]) =>
    names.some(name => {
      const part = find(file, name)
      return part !== undefined && changes.has(part)
    })
  for (let before = -1; before < changes.size; ) {
    before = changes.size
    // The moment is the part of a statement that calls the clock for the others.
    for (const file of parsed)
      for (const [name, part] of file.parts)
        if (name !== 'moment' && (changing.test(part.text) || doesChange(file, part.names))) changes.add(part)
  }
  return parsed.flatMap(file =>
    file.nodes.flatMap(node => {
      const texts = textsOf(node)
      if (!isSql.test(texts.join(' '))) return []
      const expressions = (node.expressions ?? []) as unknown[]
      const put = expressions.map(each => (doesChange(file, namesIn(nodesOf(each))) ? 'now()' : 'unknown'))
      const line = file.text.slice(0, node.start).split('\n').length
      return [
        {
          where: `${file.path}:${line}`,
          text: withoutComments(texts.map((text, i) => text + (put[i] ?? '')).join('')),
        },
      ]
    }),
  )
}

/** What is written at one depth of parentheses, and where in it a word is. */
type Frame = {
  table: string | null
  part: 'set' | 'returning' | 'where' | null
  cases: number
  readonly isWritten: boolean
}

const words = /'(?:[^']|'')*'|"[^"]*"|\$\d+|[a-z_][\w.]*|\S/gi
const isPlaced = (table: string | null) => table !== null && (table.includes('unknown') || isOfCell(table))

/** The table that a statement which begins here writes, or null. */
function writtenAt(token: readonly string[], at: number): string | null {
  const [before = '', word = '', after = ''] = token.slice(Math.max(0, at - 1))
  if (word === 'update') return ['for', 'key', 'do'].includes(before) ? null : after
  if (word === 'into') return before === 'insert' ? after : null
  return word === 'from' && before === 'delete' ? after : null
}

const kindsOf = (text: string, token: readonly string[]) => {
  const written = token.flatMap((word, at) => (isPlaced(writtenAt(token, at)) ? [{ word, at }] : []))
  return {
    inserts: written.filter(({ word }) => word === 'into').map(({ at }) => at),
    changesRows: written.some(({ word }) => word !== 'into'),
    readsTable: /\bwalhook\.\w+\b(?!\()/.test(text),
  }
}

/** The end of the selection that is inserted at a place: its parenthesis, or what follows it. */
function endOfInsert(token: readonly string[], from: number): number {
  let depth = 0
  for (let at = from; at < token.length; at++) {
    if (token[at] === '(') depth++
    if (token[at] === ')' && --depth < 0) return at
    if (depth === 0 && (token[at] === 'returning' || (token[at] === 'on' && token[at + 1] === 'conflict')))
      return at
  }
  return token.length
}

/** What Citus refuses although Postgres takes it, or does on another node than is meant (decision 0095). */
function breachesOfPlaced(text: string, token: readonly string[]): string[] {
  const { inserts, changesRows, readsTable } = kindsOf(text, token)
  const found: string[] = []
  const [called] = volatile.exec(text) ?? []
  if (called && changesRows) found.push(`${called}) in a statement that changes rows`)
  if (inserts.length > 0 && /\bctid\b/.test(text))
    found.push('rows found by ctid in a statement that inserts')
  if (/\bpg_(?:try_)?advisory_/.test(text) && readsTable)
    found.push('a lock in a statement that reads a table')
  if (/\bdetach partition \S+ concurrently\b/.test(text)) found.push('a day detached concurrently')
  for (const at of inserts) {
    const selection = token.slice(at + 2, endOfInsert(token, at + 2))
    if (!selection.includes('select')) continue
    // Not where a type is named as a table is.
    const reads = selection.some((word, i) => isOfCell(word) && selection[i - 1] !== ':')
    if (reads && !called) found.push('an inserted selection that reads a table')
    const isNumbered = numbered.includes(token[at + 1]!.replace('walhook.', ''))
    if (isNumbered && !selection.includes('overriding') && (reads || /\bas materialized\b/.test(text)))
      found.push('an id by default in an inserted selection')
  }
  return found
}

/** What a statement breaks of the subset of decision 0095. */
export function breaches(text: string): string[] {
  const lower = text.toLowerCase()
  const token = ['', ...[...lower.matchAll(words)].map(([word]) => word)]
  const found = new Set<string>(breachesOfPlaced(lower, token))
  const { inserts, changesRows } = kindsOf(lower, token)
  const frames: Frame[] = [{ table: null, part: null, cases: 0, isWritten: false }]
  for (const [at, word] of token.entries()) {
    const frame = frames.at(-1)!
    const after = token[at + 1]
    frame.table = writtenAt(token, at) ?? frame.table
    if (word === 'set' || word === 'returning' || word === 'where') frame.part = word
    else if (['from', 'using', 'on', 'select'].includes(word)) frame.part = null
    else if (word === 'case') frame.cases++
    else if (word === 'end') frame.cases--
    const isIn = isPlaced(frame.table) && (frame.part !== null || frame.cases > 0)
    if (word === 'select' && after === 'from') found.add('a select without columns')
    if (changing.test(word === 'current_timestamp' ? word : word + (after ?? ''))) {
      if (word === 'pg_notify' && (inserts.length > 0 || changesRows))
        found.add('pg_notify() in a statement that writes')
      // The time of the transaction is one value, which may be written and compared with as it is.
      else if (
        !volatile.test(`${word}(`) &&
        (frame.isWritten ||
          (isIn && (frame.part === 'returning' || frame.cases > 0 || isOfConflict(token, at))))
      )
        found.add(`${word}() where a row is written or returned`)
      else if (volatile.test(`${word}(`) && !changesRows && (frame.isWritten || isIn))
        found.add(`${word}() where a row is written or returned`)
    }
    if (
      word === 'interval' &&
      isIn &&
      frame.part !== 'returning' &&
      (frame.cases > 0 || isOfColumn(token, at))
    )
      found.add('an interval beside a column where a row is written')
    if (word === '(') {
      const before = token[at - 1] ?? ''
      const isOfWith = before === 'as' || before === 'materialized'
      const isChoice = before === 'coalesce' && isPlaced(frame.table)
      const isWritten =
        !isOfWith &&
        (frame.isWritten || isChoice || (isIn && (frame.part === 'returning' || frame.cases > 0)))
      frames.push({ table: null, part: null, cases: 0, isWritten })
    } else if (word === ')' && frames.length > 1) frames.pop()
  }
  return [...found]
}

/** Whether a place is in what a conflict sets. */
function isOfConflict(token: readonly string[], at: number): boolean {
  const before = token.slice(0, at)
  return before.lastIndexOf('do') > Math.max(before.lastIndexOf('with'), before.lastIndexOf('into'))
}

/** Whether an interval is multiplied with a column: to add it is no constant then. */
const isOfColumn = (token: readonly string[], at: number) =>
  token[at - 1] === '*' &&
  /^[a-z_]/.test(token[at - 2] ?? '') &&
  token[at - 2] !== 'unknown' &&
  token[at - 3] !== ':'

/** What a migration breaks that concerns a placed table. */
export function breachesOfMigration(text: string): string[] {
  const commands = withoutComments(text)
    .replace(/\$(\w*)\$.*?\$\1\$/gs, "''")
    .replace(/\bbegin atomic\b.*?\bend\b/gis, "''")
    .split(';')
    .map(command => command.trim())
    .filter(command => command !== '')
  const named = deliveryTables.join('|')
  const ours = commands.filter(command => new RegExp(`\\bwalhook\\.(?:${named})\\b`, 'i').test(command))
  const found =
    ours.length > 0 && commands.length > 1 ? ['a command beside the one that changes a placed table'] : []
  for (const command of ours) {
    if (/\btrigger\b/i.test(command)) found.push('a trigger')
    if (/\bwith\s+\w|\bupdate\b|\binsert\b/i.test(command)) found.push(...breaches(command))
    if (!/^alter table/i.test(command)) continue
    if (topLevel(command).includes(',')) found.push('a second subcommand')
    if (/\badd column\b.*\b(?:check|references|unique|primary key)\b/is.test(command))
      found.push('a constraint with a column')
    if (/\badd\s+(?:check|foreign key|unique|primary key)\b/i.test(command))
      found.push('a constraint without a name')
  }
  return found
}

/** What is in no parentheses. */
function topLevel(text: string): string {
  let before = text
  for (let after = ''; after !== before; ) {
    after = before
    before = after.replace(/\([^()]*\)/g, '')
  }
  return before
}
