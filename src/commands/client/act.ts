import { readFileSync } from 'node:fs'
import { describeError } from '../../runtime/log.ts'
import { UsageError } from '../kit/command.ts'
import type { Call } from './call.ts'
import { checkPositionals, header, moment, webhookId } from './options.ts'
import {
  attemptTable,
  fieldsTable,
  print,
  refused,
  type ShownAttempt,
  type ShownWebhook,
  webhookTable,
} from './output.ts'
import { subcommand } from './subcommands.ts'

const json = { json: { type: 'boolean', default: false } } as const
const beyond = { 'beyond-triggers': { type: 'boolean', default: false } } as const

/** `webhooks create`: from options, or from a JSON file of the API's input. */
export const create = subcommand(
  {
    ...json,
    name: { type: 'string' },
    url: { type: 'string' },
    trigger: { type: 'string', multiple: true },
    header: { type: 'string', multiple: true },
    'update-field': { type: 'string', multiple: true },
    'alert-to': { type: 'string', multiple: true },
    mode: { type: 'string' },
    tenant: { type: 'string' },
    'with-traceparent': { type: 'boolean', default: false },
    inactive: { type: 'boolean', default: false },
    file: { type: 'string' },
  },
  async ({ values, positionals }, call) => {
    checkPositionals(positionals, 0, 'create')
    const { name, url, trigger, header: headers, 'update-field': updateFields, mode, tenant } = values
    // An empty tenant would be a webhook for the entities of all.
    if (tenant?.trim() === '') throw new UsageError('--tenant is empty')
    const given = {
      ...(name !== undefined && { name }),
      ...(url !== undefined && { url }),
      ...(trigger && { triggers: trigger.flatMap(some => some.split(',')).map(one => one.trim()) }),
      ...(headers && { headers: Object.fromEntries(headers.map(header)) }),
      ...(updateFields && { update_fields: updateFields }),
      ...(values['alert-to'] && {
        alert_to: values['alert-to'].flatMap(some => some.split(',')).map(one => one.trim()),
      }),
      ...(mode !== undefined && { mode }),
      ...(tenant !== undefined && { tenant }),
      ...(values['with-traceparent'] && { traceparent: true }),
      ...(values.inactive && { is_active: false }),
    }
    const body = values.file === undefined ? given : { ...readBody(values.file), ...given }
    const lacking = (['name', 'url', 'triggers'] as const).filter(field => !(field in body))
    if (lacking.length > 0)
      throw new UsageError(
        `create needs ${lacking.map(field => `--${field.replace('triggers', 'trigger')}`).join(', ')}`,
      )
    const called = await call()?.<ShownWebhook>('POST', '/api/webhooks', body)
    if (!called) return 1
    if (!called.ok) return refused(called)
    print(called.value, webhookTable, values.json)
    return 0
  },
)

function readBody(file: string): object {
  let body: unknown
  try {
    body = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'))
  } catch (error) {
    throw new UsageError(`--file ${file}: ${describeError(error)}`)
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body
  throw new UsageError(`--file ${file}: not a JSON object`)
}

/** `webhooks test ID`: fails if the receiver refuses the test. */
export const sendTest = subcommand(
  { ...json, user: { type: 'string' } },
  async ({ values, positionals }, call) => {
    const [text] = checkPositionals(positionals, 1, 'test')
    const id = webhookId(text, 'test')
    const body = values.user === undefined ? {} : { user_id: values.user }
    const called = await call()?.<ShownAttempt>('POST', `/api/webhooks/${id}/test`, body)
    if (!called) return 1
    if (!called.ok) return refused(called)
    const { outcome, error } = called.value
    print(called.value, attemptTable, values.json)
    if (outcome === 'delivered') return 0
    return refused({ ok: false, lines: [`the test was not delivered: ${error?.message ?? outcome}`] })
  },
)

/** `webhooks resend ID EVENT…`, or `--failed`: the undelivered events of a time range. */
export const resend = subcommand(
  {
    ...json,
    ...beyond,
    failed: { type: 'boolean', default: false },
    from: { type: 'string' },
    to: { type: 'string' },
  },
  async ({ values, positionals }, call) => {
    const [text, ...eventIds] = positionals
    const id = webhookId(text, 'resend')
    const isBeyond = values['beyond-triggers'] && { beyond_triggers: true }
    if (values.failed) {
      if (eventIds.length > 0) throw new UsageError('resend takes one of EVENT and --failed')
      if (values.from === undefined) throw new UsageError('resend --failed takes --from: --from 24h')
      return await queue(
        `/api/webhooks/${id}/resend-failed`,
        { ...range(values), ...isBeyond },
        values.json,
        call,
      )
    }
    if (eventIds.length === 0 || values.from !== undefined || values.to !== undefined)
      throw new UsageError('resend takes the id of an EVENT, or --failed with --from')
    const send = call()
    if (!send) return 1
    const resent: object[] = []
    let status = 0
    for (const event_id of eventIds) {
      const called = await send<object>('POST', `/api/webhooks/${id}/resend`, { event_id, ...isBeyond })
      if (called.ok) resent.push(called.value)
      else status = refused({ ok: false, lines: called.lines.map(line => `event ${event_id}: ${line}`) })
    }
    print(
      resent,
      rows => [Object.keys(rows[0] ?? {}), rows.map(row => Object.values(row).map(String))],
      values.json,
    )
    return status
  },
)

/** `webhooks replay ID`: the events of a time range, or listed ones. */
export const replay = subcommand(
  {
    ...json,
    ...beyond,
    from: { type: 'string' },
    to: { type: 'string' },
    trigger: { type: 'string', multiple: true },
    event: { type: 'string', multiple: true },
  },
  async ({ values, positionals }, call) => {
    const [text] = checkPositionals(positionals, 1, 'replay')
    const id = webhookId(text, 'replay')
    if ((values.from === undefined) === (values.event === undefined))
      throw new UsageError('replay takes one of --from and --event: --from 2h')
    const body = {
      ...range(values),
      ...(values.trigger && { triggers: values.trigger.flatMap(some => some.split(',')) }),
      ...(values.event && { event_ids: values.event }),
      ...(values['beyond-triggers'] && { beyond_triggers: true }),
    }
    return await queue(`/api/webhooks/${id}/replay`, body, values.json, call)
  },
)

function range({ from, to }: { from?: string | undefined; to?: string | undefined }) {
  const nowMs = Date.now()
  return {
    ...(from !== undefined && { from: moment('--from', from, nowMs) }),
    ...(to !== undefined && { to: moment('--to', to, nowMs) }),
  }
}

/** Queues page by page, and prints the count, also after a refusal. */
async function queue(
  path: string,
  body: object,
  wantsJson: boolean,
  call: () => Call | null,
): Promise<number> {
  const send = call()
  if (!send) return 1
  let queued = 0
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const called = await send<{ queued: number; next_cursor: string | null }>('POST', path, {
      ...body,
      ...(cursor !== undefined && { cursor }),
    })
    if (!called.ok) {
      const before = queued > 0 ? [`${queued} deliveries were queued before this:`] : []
      return refused({ ok: false, lines: [...before, ...called.lines] })
    }
    queued += called.value.queued
    cursor = called.value.next_cursor
  }
  print({ queued }, fieldsTable, wantsJson)
  return 0
}
