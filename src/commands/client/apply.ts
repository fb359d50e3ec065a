import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { readClientConfig, readReference } from '../../config/client-config.ts'
import { describeError } from '../../runtime/log.ts'
import { type Command, parseOnce, printLine, report, UsageError } from '../kit/command.ts'
import { openCall } from './call.ts'
import { checkPositionals } from './options.ts'
import { refused } from './output.ts'
import { harmless } from './table.ts'
import { readWebhooksFile, withoutValues } from './webhooks-file.ts'

type Difference = { readonly field: string; readonly from?: unknown; readonly to?: unknown }
type Applied = {
  readonly webhooks: readonly {
    readonly name: string
    readonly id: number | null
    readonly action: 'create' | 'change' | 'delete' | 'none' | 'left'
    readonly differences: readonly Difference[]
    readonly secret?: string
  }[]
}

/** Makes the webhooks of a running walhook equal to a file. */
export const apply: Command = {
  usage: `  walhook apply FILE [--dry-run] [--prune] [--force] [--source NAME] [--json]
                                      make the webhooks of the walhook at WALHOOK_URL match a YAML file, all or nothing:
                                      --dry-run only shows the difference, --prune deletes webhooks that the file no
                                      longer has, --force takes over those of another file; \${NAME} in the file is an
                                      environment variable; the FILE - is standard input`,
  async run(args) {
    const { values, positionals } = parseOnce({
      args,
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean', default: false },
        prune: { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
        source: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const [file] = checkPositionals(positionals, 1, 'apply')
    if (file === undefined) throw new UsageError('apply takes a FILE: walhook apply webhooks.yaml')
    if (file === '-' && values.source === undefined)
      throw new UsageError('apply - needs --source NAME: the name under which it manages these webhooks')
    const source = values.source ?? basename(file)
    const read = readWebhooksFile(readText(file), readReference)
    if (!read.ok) return refused({ ok: false, lines: read.problems.map(problem => `${file}: ${problem}`) })
    const config = readClientConfig()
    report(config.warnings)
    if (!config.ok) return report(config.problems)
    const called = await openCall(config.config)<Applied>('POST', '/api/apply', {
      source,
      webhooks: read.webhooks,
      dry_run: values['dry-run'],
      prune: values.prune,
      force: values.force,
    })
    const hide = (text: string) => withoutValues(text, read.secrets)
    if (!called.ok) return refused({ ok: false, lines: called.lines.map(line => hide(`${file}: ${line}`)) })
    const lines = values.json
      ? [JSON.stringify(called.value, null, 2)]
      : [...linesOf(called.value), summaryOf(called.value, values)]
    for (const line of lines) printLine(harmless(hide(line), true))
    return 0
  },
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new UsageError(`${file}: ${describeError(error)}`)
  }
}

const signs = { create: '+', change: '~', delete: '-', left: '?', none: ' ' } as const

function linesOf({ webhooks }: Applied): string[] {
  return webhooks
    .filter(({ action }) => action !== 'none')
    .flatMap(({ name, id, action, differences, secret }) => [
      `${signs[action]} ${name}${id === null ? '' : ` (webhook ${id})`}${action === 'left' ? ': no longer in the file; --prune deletes it' : ''}`,
      ...differences.map(each => `    ${differenceOf(each)}`),
      ...(secret === undefined ? [] : [`    its signing secret, shown only once: ${secret}`]),
    ])
}

function differenceOf({ field, from, to }: Difference): string {
  const written = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  if (Array.isArray(from) && Array.isArray(to)) {
    const less = from.filter(one => !to.includes(one)).map(one => `- ${written(one)}`)
    const more = to.filter(one => !from.includes(one)).map(one => `+ ${written(one)}`)
    return `${field}: ${[...less, ...more].join(', ')}`
  }
  if (from === undefined) return `${field}: ${written(to)}`
  return to === undefined
    ? `${field}: ${written(from)} → none`
    : `${field}: ${written(from)} → ${written(to)}`
}

function summaryOf({ webhooks }: Applied, { 'dry-run': isDry }: { 'dry-run': boolean }): string {
  const of = (action: string) => webhooks.filter(each => each.action === action).length
  const [created, changed, deleted] = [of('create'), of('change'), of('delete')]
  if (created + changed + deleted === 0) return 'Nothing to do: the webhooks match the file.'
  const counts = `${created} created, ${changed} changed, ${deleted} deleted.`
  return isDry ? `Dry run, nothing changed. Without --dry-run: ${counts}` : counts
}
