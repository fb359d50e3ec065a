import { parseDuration } from '../../domain/value/duration.ts'
import { UsageError, wholeNumber } from '../kit/command.ts'

export function webhookId(text: string | undefined, command: string): number {
  const id = wholeNumber(text ?? '')
  if (id > 0 && id < 2 ** 31) return id
  const found =
    text === undefined ? 'takes the ID of a webhook' : `${JSON.stringify(text)} is not the ID of a webhook`
  throw new UsageError(`${command}: ${found}: walhook webhooks list shows them`)
}

export function checkPositionals(
  positionals: readonly string[],
  max: number,
  command: string,
): readonly string[] {
  if (positionals.length > max)
    throw new UsageError(`${command}: unexpected argument ${JSON.stringify(positionals[max])}`)
  return positionals
}

/** The moment that `2h` (that long ago), a day or ISO 8601 means, in the API's format. */
export function moment(option: string, text: string, nowMs: number): string {
  const spanMs = /^\d{1,5}[smhd]$/.test(text) ? parseDuration(text) : null
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
  const atMs = spanMs !== null ? nowMs - spanMs : isTime ? Date.parse(text) : Number.NaN
  if (Number.isFinite(atMs)) return new Date(atMs).toISOString()
  throw new UsageError(
    `${option} ${JSON.stringify(text)} is not a time: write 2h (for 2 hours ago), 2026-12-31 or 2026-12-31T12:00Z`,
  )
}

/** `Name: value` as a header of a webhook. */
export function header(text: string): [name: string, value: string] {
  const at = text.indexOf(':')
  // The problem never repeats the value: it may be a secret.
  if (at < 1) throw new UsageError("--header is not a header: write it as --header 'Name: value'")
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}
