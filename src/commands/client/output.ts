import { readTerminal } from '../../config/terminal.ts'
import { printLine } from '../kit/command.ts'
import type { Called } from './call.ts'
import { type Cell, type Colour, formatTable, harmless } from './table.ts'

/** The shown fields of a webhook in the API. */
export type ShownWebhook = Readonly<Record<string, unknown>> & {
  readonly id: number
  readonly name: string
  readonly url: string
  readonly is_active: boolean
  readonly triggers: readonly string[]
  readonly disabled_at: string | null
  readonly failing_since: string | null
}

/** The shown fields of an attempt in the API. */
export type ShownAttempt = Readonly<Record<string, unknown>> & {
  readonly id: string
  readonly outcome: string
  readonly error: { readonly class: string; readonly message: string } | null
  readonly started_at: string
  readonly duration_ms: number
  readonly number: number
  readonly event_id: string | null
  readonly event_ids: readonly string[] | null
  readonly entity_type: string | null
  readonly entity_id: string | null
  readonly action_type: string | null
  readonly next_attempt_at: string | null
  readonly request: { readonly body: string }
  readonly response: { readonly status: number; readonly body: string } | null
}

/** Prints a value: as a table on a terminal, else as JSON. */
export function print<T>(
  value: T,
  asTable: (value: T) => [heads: string[], rows: Cell[][]],
  wantsJson: boolean,
) {
  // The reader has closed the pipe: `walhook webhooks list | head`.
  process.stdout.once('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1))
  const terminal = readTerminal(process.stdout)
  if (wantsJson || terminal.columns === null) return printLine(JSON.stringify(value, null, 2))
  const [heads, rows] = asTable(value)
  printLine(rows.length === 0 ? 'none' : formatTable(heads, rows, terminal))
}

/** Prints why a call was refused; returns the exit status. */
export function refused({ lines }: Called<unknown> & { ok: false }): 1 {
  for (const line of lines) process.stderr.write(`walhook: ${harmless(line)}\n`)
  return 1
}

export function webhooksTable(webhooks: readonly ShownWebhook[]): [string[], Cell[][]] {
  return [
    ['ID', 'NAME', 'STATE', 'URL', 'TRIGGERS'],
    webhooks.map(webhook => [
      String(webhook.id),
      webhook.name,
      stateOf(webhook),
      webhook.url,
      webhook.triggers.join(' '),
    ]),
  ]
}

export function webhookTable(webhook: ShownWebhook): [string[], Cell[][]] {
  const { is_active: _, ...shown } = webhook
  return fieldsTable({ ...shown, state: stateOf(webhook) })
}

function stateOf(webhook: ShownWebhook): Cell {
  const state = (text: string, colour: Colour) => ({ text, colour })
  if (webhook.disabled_at !== null) return state('disabled', 'red')
  if (!webhook.is_active) return state('inactive', 'dim')
  return webhook.failing_since === null ? state('active', 'green') : state('failing', 'yellow')
}

export function attemptsTable(attempts: readonly ShownAttempt[]): [string[], Cell[][]] {
  return [
    ['STARTED (UTC)', 'OUTCOME', 'STATUS', 'ABOUT', 'EVENT', 'TRY', 'MS', 'NEXT (UTC)', 'ID'],
    attempts.map(attempt => [
      timeOf(attempt.started_at),
      outcomeOf(attempt),
      String(attempt.response?.status ?? attempt.error?.class ?? ''),
      aboutOf(attempt),
      attempt.event_id ?? '',
      String(attempt.number),
      String(Math.round(attempt.duration_ms)),
      timeOf(attempt.next_attempt_at ?? ''),
      attempt.id,
    ]),
  ]
}

/** Day and time of a time of the API, in UTC. */
const timeOf = (text: string) => text.slice(5, 19).replace('T', ' ')

export function attemptTable(attempt: ShownAttempt): [string[], Cell[][]] {
  const { request, response, ...facts } = attempt
  return fieldsTable({
    ...facts,
    outcome: outcomeOf(attempt),
    request: request.body,
    response: response && `${response.status} ${response.body}`,
  })
}

function outcomeOf({ outcome }: ShownAttempt): Cell {
  return {
    text: outcome,
    colour: outcome === 'delivered' ? 'green' : outcome === 'cancelled' ? 'yellow' : 'red',
  }
}

function aboutOf({
  entity_type: type,
  entity_id: id,
  action_type: action,
  event_ids: ids,
}: ShownAttempt): string {
  return ids === null ? `${type} ${id} ${action}` : `${ids.length} events`
}

/** One field per line, without empty ones. */
export function fieldsTable(fields: Readonly<Record<string, unknown>>): [string[], Cell[][]] {
  const cellOf = (value: unknown): Cell => {
    if (typeof value === 'object' && value !== null && 'colour' in value) return value as Cell
    return typeof value === 'string' ? value : JSON.stringify(value)
  }
  const rows = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  return [['', ''], rows.map(([name, value]) => [{ text: name, colour: 'dim' }, cellOf(value)])]
}
