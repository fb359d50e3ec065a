import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { en } from '../../src/admin/texts/en.ts'
import {
  type JsonSchema,
  type OpenApiDocument,
  type Operation,
  openApiDocument,
} from '../../src/api/kit/document.ts'
import { createMetrics } from '../../src/api/metrics/metrics.ts'
import { routes } from '../../src/api/routes.ts'
import { commands } from '../../src/commands/run-command.ts'
import type { Variable } from '../../src/config/variable.ts'
import { variables } from '../../src/config/variables.ts'
import { namedAlertSchemas } from '../../src/domain/alert/alert-schema.ts'
import { captureCodes } from '../../src/domain/capture/capture-code.ts'
import { pageCodes } from '../../src/domain/capture/page-failures.ts'
import { diagnoses } from '../../src/domain/shown/diagnosis.ts'
import { problemCodes } from '../../src/domain/value/problem-codes.ts'

const docs = join(import.meta.dirname, '..', '..', 'docs')
const generated = '<!-- Generated from the code by `npm run docs`: change the code. -->'

/** A cell of a table: no line break, no bar that ends it. */
const cell = (text: string) => text.replaceAll('\n', ' ').replaceAll('|', '\\|')
const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [head, head.map(() => '---'), ...rows].map(row => `| ${row.map(cell).join(' | ')} |`).join('\n')
const code = (text: string) => `\`${text}\``

function configuration(): string {
  const rows = Object.entries<Variable<unknown>>(variables).map(([name, variable]) => [
    code(name),
    variable.means,
    variable.default
      ? code(variable.default)
      : variable.default === ''
        ? 'none'
        : `none: ${variable.without}`,
  ])
  return `# Configuration

${generated}

walhook reads its configuration from environment variables. An empty variable counts as not set. At start, walhook reports
all wrong variables at once, each with a fix, and warns about unknown variables that begin with \`WALHOOK_\`. The
[mapping file](../guide/mapping.md) says which tables are entities. The variables of libpq (\`PGPASSWORD\`, \`PGSSLMODE\`, …) complete
database URLs: see [TLS](../guide/managed-postgres.md#tls).

${table(['variable', 'meaning', 'default'], rows)}
`
}

function cli(): string {
  const parts = Object.entries(commands).map(
    ([name, { usage }]) => `## ${name}\n\n\`\`\`text\n${usage.replaceAll(/^ {2}/gm, '')}\n\`\`\``,
  )
  return `# Commands

${generated}

\`npx node src/main.ts COMMAND\` in a checkout, \`docker run … walhook COMMAND\` in a container. Each command reads the
[configuration](configuration.md) from the environment. \`--help\` prints its usage.

| exit status | meaning                                                     |
| ----------- | ----------------------------------------------------------- |
| 0           | success                                                     |
| 1           | failure: standard error says why, and how to fix it         |
| 2           | wrong arguments                                             |
| 3           | \`check\`: warnings, no errors; \`map\`: no table looks like users or companies |

Without a command: \`serve\` if \`DATABASE_URL\` is set, otherwise the playground.

${parts.join('\n\n')}
`
}

function metrics(): string {
  const rows = createMetrics(() => Promise.reject(new Error('nothing is measured here')))
    .describe()
    .map(({ name, help, labels, type }) => [
      code(labels.length > 0 ? `${name}{${labels.join(', ')}}` : name),
      type ?? '',
      help,
    ])
  return `# Metrics

${generated}

\`GET /metrics\` answers in the text format of Prometheus, without a token. The value of a gauge is NaN
while it is unknown. [Operating](../guide/operating.md#alerts) says which metrics deserve an alert.

${table(['metric', 'type', 'meaning'], rows)}
`
}

function problems(): string {
  const withMend = (codes: Readonly<Record<string, { sees: string; mend: string }>>) =>
    table(
      ['code', 'what one sees', 'fix'],
      Object.entries(codes).map(([name, { sees, mend }]) => [code(name), sees, mend]),
    )
  const attempts = diagnoses.map(name => [code(name), en.diagnoses[name].what, en.diagnoses[name].advice])
  return `# Problems

${generated}

Programs distinguish problems by code. A code never changes its meaning. The sentence beside it names the object, the
finding and the fix.

## Capture

\`code\` of capture in \`GET /api/status\`, on the page _Health_, and in the log.

${withMend(captureCodes)}

## Backfills and resyncs

\`code\` of a backfill or a resync.

${withMend(pageCodes)}

## Attempts

What a failed attempt means, on the pages.

${table(['diagnosis', 'meaning', 'advice'], attempts)}

## Starts, commands and checks

Each line of \`walhook check --json\` has one of these codes. \`serve\` and the other commands print the sentence only, with its fix.

${table(
  ['code', 'about'],
  Object.entries(problemCodes).map(([name, about]) => [code(name), about]),
)}
`
}

type Described = JsonSchema & {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Described[]
  readonly items?: Described
  readonly properties?: Readonly<Record<string, Described>>
  readonly required?: readonly string[]
  readonly description?: string
}

const nameOf = (ref: string) => ref.slice(ref.lastIndexOf('/') + 1)

/** A schema in a few words: `string`, `"new" or "update"`, `list of [Webhook](#webhook)`. */
function words(schema: Described): string {
  if (schema.$ref) return `[${nameOf(schema.$ref)}](#${nameOf(schema.$ref).toLowerCase()})`
  if (schema.const !== undefined) return code(JSON.stringify(schema.const))
  if (schema.enum) return schema.enum.map(value => code(JSON.stringify(value))).join(' or ')
  if (schema.anyOf) return [...new Set(schema.anyOf.map(words))].join(' or ')
  if (schema.items) return `list of ${words(schema.items)}`
  if (schema.properties) return `object: ${Object.keys(schema.properties).map(code).join(', ')}`
  if (Array.isArray(schema.type)) return schema.type.join(' or ')
  return String(schema.type ?? 'any')
}

function fields(schema: Described): string {
  if (!schema.properties) return `${words(schema)}\n`
  const rows = Object.entries(schema.properties).map(([name, field]) => [
    code(name),
    words(field),
    schema.required?.includes(name) ? 'yes' : 'no',
    field.description ?? '',
  ])
  return table(['field', 'type', 'required', 'meaning'], rows)
}

const schemaIn = (content: Record<string, { schema: JsonSchema }> | undefined) =>
  Object.values(content ?? {})[0]?.schema as Described | undefined

function operation(path: string, method: string, described: Operation): string {
  const { summary, description, parameters, requestBody, responses } = described
  const body = schemaIn(requestBody?.content)
  const answers = Object.entries(responses).map(([status, answer]) => {
    const schema = Number(status) < 300 ? schemaIn(answer.content) : undefined
    return [status, answer.description, schema ? words(schema) : '']
  })
  const taken = parameters.map(each => [
    code(each.name),
    each.in,
    words(each.schema as Described),
    each.required ? 'yes' : 'no',
    each.description ?? (each.schema as Described).description ?? '',
  ])
  return [
    `### \`${method.toUpperCase()} ${path}\``,
    `${summary}. ${description}`,
    ...(taken.length > 0 ? [table(['parameter', 'in', 'type', 'required', 'meaning'], taken)] : []),
    ...(body ? [`The body${requestBody!.required ? '' : ' (optional)'}:`, fields(body)] : []),
    table(['status', 'response', 'body'], answers),
  ].join('\n\n')
}

function api(): string {
  const document: OpenApiDocument = openApiDocument(routes, packageJson.version, namedAlertSchemas)
  const parts = document.tags.map(({ name }) => {
    const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, each]) => each.tags.includes(name))
        .map(([method, each]) => operation(path, method, each)),
    )
    return `## ${name}\n\n${calls.join('\n\n')}`
  })
  const schemas = Object.entries(document.components.schemas as Record<string, Described>).map(
    ([name, schema]) =>
      `### ${name}\n\n${schema.description ? `${schema.description}\n\n` : ''}${fields(schema)}`,
  )
  return `# API

${generated}

${document.info.description}

Send \`Authorization: Bearer TOKEN\`. A running walhook serves this description as \`/api/docs\` for people and as
\`/api/openapi.json\` (OpenAPI ${document.openapi}) for programs. \`/livez\`, \`/readyz\` and \`/metrics\` need no token.
[Operating](../guide/operating.md#the-apis-limits) has the limits, \`Idempotency-Key\` and \`If-Match\`.

${parts.join('\n\n')}

## Schemas

${schemas.join('\n\n')}
`
}

async function decisions(): Promise<string> {
  const folder = join(docs, 'decisions')
  const files = (await readdir(folder)).filter(file => /^\d{4}-.*\.md$/.test(file)).sort()
  const rows = await Promise.all(
    files.map(async file => {
      const [title = '', , status = ''] = (await readFile(join(folder, file), 'utf8')).split('\n')
      const number = file.slice(0, 4)
      const decision = title.replace(/^# (\d{4}: )?/, '')
      const line = /^_.*_$/.test(status) ? status.slice(1, -1) : ''
      return [number, `[${decision}](${file})`, line]
    }),
  )
  return `# Decisions

${generated}

Each page says what was decided, why, what it costs, and what was tried and dropped. The title is the decision.

${table(['', 'decision', 'status'], rows)}
`
}

/** What `npm run docs` writes: the text of each document that comes from the code, by its path. */
export async function generatedDocuments(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['docs/reference/configuration.md', configuration()],
    ['docs/reference/cli.md', cli()],
    ['docs/reference/api.md', api()],
    ['docs/reference/problems.md', problems()],
    ['docs/reference/metrics.md', metrics()],
    ['docs/decisions/index.md', await decisions()],
  ])
}
