import { stringify } from 'yaml'
import { readClientConfig } from '../../config/client-config.ts'
import { redacted } from '../../domain/shown/redact.ts'
import { type Command, parseOnce, report, UsageError } from '../kit/command.ts'
import { type Called, openCall } from './call.ts'
import { checkPositionals } from './options.ts'
import { refused, type ShownWebhook } from './output.ts'
import { asWritten } from './webhooks-file.ts'

type Page = {
  readonly data: readonly ShownWebhook[]
  readonly next_cursor: string | number | null
  readonly cells_away?: readonly string[]
}

/** Writes the webhooks of a running walhook as a file for `walhook apply`. */
export const exportWebhooks: Command = {
  usage: `  walhook export [--source NAME] [--tenant NAME]
                                      write the webhooks of the walhook at WALHOOK_URL as YAML for walhook apply:
                                      all of them, or those that the file NAME manages, or those of a tenant.
                                      Secrets become references to environment variables, listed in a comment`,
  async run(args) {
    const { values, positionals } = parseOnce({
      args,
      allowPositionals: true,
      options: { source: { type: 'string' }, tenant: { type: 'string' } },
    })
    checkPositionals(positionals, 0, 'export')
    const { source, tenant } = values
    if (tenant === '') throw new UsageError('--tenant is empty')
    const config = readClientConfig()
    report(config.warnings)
    if (!config.ok) return report(config.problems)
    const call = openCall(config.config)
    const all: ShownWebhook[] = []
    for (let cursor: string | number | null = 0; cursor !== null; ) {
      const query = new URLSearchParams({
        limit: '100',
        cursor: `${cursor}`,
        ...(tenant !== undefined && { tenant }),
      })
      const page: Called<Page> = await call('GET', `/api/webhooks?${query}`)
      if (!page.ok) return refused(page)
      const { cells_away: away = [] } = page.value
      if (away.length > 0) return refused({ ok: false, lines: away.map(missing) })
      all.push(...page.value.data)
      cursor = page.value.next_cursor
    }
    const chosen = all.filter(({ managed_by }) => source === undefined || managed_by === source)
    const problems = inTheWay(chosen)
    if (problems.length > 0) return refused({ ok: false, lines: problems })
    process.stdout.write(fileOf(chosen))
    return 0
  },
}

const missing = (cell: string) =>
  `cell ${cell} does not respond: its webhooks would be missing in the file. Fix: start its database, then repeat the command`

/** Settings that a file can't contain. */
function inTheWay(webhooks: readonly ShownWebhook[]): string[] {
  if (webhooks.some(({ url }) => url.endsWith(`/${redacted}`)))
    return [
      'the token may not read the URLs of webhooks. Fix: create one with: walhook token NAME --role admin',
    ]
  const byName = Map.groupBy(webhooks, ({ name }) => name)
  return [...byName].filter(([, its]) => its.length > 1).map(([name, its]) => sameName(name, its))
}

function sameName(name: string, its: readonly ShownWebhook[]): string {
  const isOfOneTenant = new Set(its.map(({ tenant }) => tenant)).size < its.length
  const mend = isOfOneTenant ? 'give one of them another name' : 'export each tenant by itself, with --tenant'
  return `webhooks ${its.map(({ id }) => id).join(', ')} are all called ${JSON.stringify(name)}: ${mend}`
}

/** The defaults, which a file may omit, in the order of writing. */
const defaults: Readonly<Record<string, unknown>> = {
  tenant: null,
  url: undefined,
  is_active: true,
  triggers: undefined,
  alert_to: undefined,
  previous: false,
  traceparent: false,
  update_fields: null,
  filter: null,
  filter_entering: 'update',
  filter_leaving: 'nothing',
  mode: 'every',
  batch: null,
  log_bodies: 'all',
}

function fileOf(webhooks: readonly ShownWebhook[]): string {
  const references = new Set<string>()
  const refer = (...parts: string[]) => {
    const wanted = parts
      .join('_')
      .toUpperCase()
      .replaceAll(/[^A-Z0-9]+/g, '_')
      .replace(/^(?=\d)|^$/, '_')
    let name = wanted
    for (let i = 2; references.has(name); i++) name = `${wanted}_${i}`
    references.add(name)
    return `\${${name}}`
  }
  const content = Object.fromEntries(webhooks.map(webhook => [webhook.name, written(webhook, refer)]))
  const text = stringify({ webhooks: content }, { lineWidth: 0 })
  const list = [...references].map(name => `#   ${name}\n`).join('')
  return `${references.size === 0 ? '' : `# Secrets that walhook shows to nobody. Set before walhook apply:\n${list}`}${text}`
}

function written(webhook: ShownWebhook, refer: (...parts: string[]) => string): object {
  const { name, headers = {}, client_certificate: certificate } = webhook
  const settings = Object.entries(defaults).filter(
    ([field, byDefault]) =>
      webhook[field] !== undefined && JSON.stringify(webhook[field]) !== JSON.stringify(byDefault),
  )
  const names = Object.keys(headers as object)
  return {
    ...Object.fromEntries(settings.map(([field]) => [field, literally(webhook[field])])),
    ...(names.length > 0 && {
      headers: Object.fromEntries(names.map(header => [header, refer(name, header)])),
    }),
    ...(certificate !== undefined && {
      client_certificate: refer(name, 'client_certificate'),
      client_key: refer(name, 'client_key'),
    }),
  }
}

function literally(value: unknown): unknown {
  if (typeof value === 'string') return asWritten(value)
  if (Array.isArray(value)) return value.map(literally)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, literally(inner)]))
}
