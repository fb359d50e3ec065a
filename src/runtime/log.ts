import { pino } from 'pino'

/** What a line may hold: nothing that JSON lacks. */
type Fact = string | number | boolean | null | undefined | readonly Fact[] | Facts
type Facts = { readonly [name: string]: Fact }

/** Writes one JSON line per occurrence: a dotted name, then its facts. */
export type Log = {
  debug(name: string, facts?: Facts): void
  info(name: string, facts?: Facts): void
  warn(name: string, facts?: Facts): void
  error(name: string, facts?: Facts): void
}

/** Lines within this time are written together, in ms: each write is a system call. */
const togetherMs = 10
/** A longer buffer is written at once. */
const maxWaiting = 8_192

/**
 * A pino log of this level on standard output. Errors are written at once, with everything before them; other lines within 10
 * ms, and at a normal exit. A kill loses only those. Without `entityIds` no line contains an entity.
 */
export function openLog(level: string, { entityIds = true }: { entityIds?: boolean } = {}): Log {
  const output = pino.destination({ dest: 1, sync: true })
  let waiting = ''
  let timer: NodeJS.Timeout | null = null
  function flush() {
    if (timer) clearTimeout(timer)
    timer = null
    if (waiting === '') return
    const lines = waiting
    waiting = ''
    output.write(lines)
  }
  process.on('exit', flush)
  const now = createTimeText()
  const { values } = pino.levels
  const least = values[level] ?? Number.POSITIVE_INFINITY

  function open(name: keyof Log, isAtOnce: boolean): Log['info'] {
    if (values[name]! < least) return () => {}
    return (msg, facts) => {
      const shown = entityIds ? facts : { ...facts, entity_id: undefined }
      const text = JSON.stringify(shown ?? {})
      // Not in one object with the facts: to copy each costs as much as to write it.
      waiting += `{"level":"${name}","time":"${now()}",${text.slice(1, -1)}${text === '{}' ? '' : ','}"msg":${JSON.stringify(msg)}}\n`
      if (isAtOnce || waiting.length >= maxWaiting) flush()
      else timer ??= setTimeout(flush, togetherMs)
    }
  }
  return {
    debug: open('debug', false),
    info: open('info', false),
    warn: open('warn', true),
    error: open('error', true),
  }
}

/** The present time as text, made once per millisecond. */
function createTimeText() {
  let ofMs = 0
  let text = ''
  return () => {
    const nowMs = Date.now()
    if (nowMs !== ofMs) {
      ofMs = nowMs
      text = new Date(nowMs).toISOString()
    }
    return text
  }
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** An error's message on one line, with its code; of an aggregate error, all messages. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return [...new Set(error.errors.map(describeError))].join('; ')
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  return `${error.message}${error.message.includes(code.trim()) ? '' : code}`.trim()
}
