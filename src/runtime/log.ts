import { pino, stdTimeFunctions } from 'pino'

/** Writes one JSON line per occurrence: a dotted name, then its facts. */
export type Log = {
  debug(name: string, facts?: object): void
  info(name: string, facts?: object): void
  warn(name: string, facts?: object): void
  error(name: string, facts?: object): void
}

/** Lines within this time are written together, in ms: each write is a system call. */
const togetherMs = 10
/** A longer buffer is written at once. */
const mostWaiting = 8_192

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
  const logger = pino(
    {
      level,
      timestamp: stdTimeFunctions.isoTime,
      base: null,
      ...(!entityIds && { redact: { paths: ['entity_id'], remove: true } }),
      formatters: { level: label => ({ level: label }) },
    },
    {
      write(line: string) {
        waiting += line
        if (waiting.length >= mostWaiting) flush()
        else timer ??= setTimeout(flush, togetherMs)
      },
    },
  )
  process.on('exit', flush)
  const at =
    (write: (facts: object, name: string) => void) =>
    (name: string, facts: object = {}) =>
      write(facts, name)
  const atOnce =
    (write: (facts: object, name: string) => void) =>
    (name: string, facts: object = {}) => {
      write(facts, name)
      flush()
    }
  return {
    debug: at(logger.debug.bind(logger)),
    info: at(logger.info.bind(logger)),
    warn: atOnce(logger.warn.bind(logger)),
    error: atOnce(logger.error.bind(logger)),
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
