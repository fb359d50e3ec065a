import { pino, stdTimeFunctions } from 'pino'

/** Writes one JSON line for each thing that happened: a name in dotted words, then its facts. */
export type Log = {
  debug(name: string, facts?: object): void
  info(name: string, facts?: object): void
  warn(name: string, facts?: object): void
  error(name: string, facts?: object): void
}

/** A log at one of pino's levels, to standard output. */
export function openLog(level: string): Log {
  const logger = pino({
    level,
    timestamp: stdTimeFunctions.isoTime,
    base: null,
    formatters: { level: label => ({ level: label }) },
  })
  const at =
    (write: (facts: object, name: string) => void) =>
    (name: string, facts: object = {}) =>
      write(facts, name)
  return {
    debug: at(logger.debug.bind(logger)),
    info: at(logger.info.bind(logger)),
    warn: at(logger.warn.bind(logger)),
    error: at(logger.error.bind(logger)),
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
