import { pino, stdTimeFunctions } from 'pino'

/** Writes one JSON line for each thing that happened: a name in dotted words, then its facts. */
export type Log = {
  debug(name: string, facts?: object): void
  info(name: string, facts?: object): void
  warn(name: string, facts?: object): void
  error(name: string, facts?: object): void
}

/** Lines that come so soon one after the other are written together, in ms: each write is a call into the system. */
const togetherMs = 10
/** So many characters wait no longer. */
const mostWaiting = 8_192

/**
 * A log at one of pino's levels, to standard output. What went wrong is written at once, with all that came before; the
 * rest within 10 ms, and when the process ends by itself. Who kills it loses these lines, nothing else. Without `entityIds`
 * no line names an entity.
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

/** A log that keeps nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** An error's message in one line, with its code where it has one; of several errors in one, all of them. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return [...new Set(error.errors.map(describeError))].join('; ')
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  return `${error.message}${error.message.includes(code.trim()) ? '' : code}`.trim()
}
