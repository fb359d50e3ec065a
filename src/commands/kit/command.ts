import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { Config, ConfigResult } from '../../config/config.ts'
import type { Failed } from '../../control/kit/result.ts'
import { nearest } from '../../domain/value/nearest.ts'
import { formatProblem, type Problem } from '../../domain/value/problem.ts'

export type Command = {
  /** The output of `walhook NAME --help`, and a part of `walhook --help`. */
  readonly usage: string
  /** The possible words of its first argument, if there are few. */
  readonly words?: readonly string[]
  /** The options after each of these words, where they differ. */
  readonly optionsOfWords?: Readonly<Record<string, readonly string[]>>
  /** Runs it; resolves with the exit status. The first SIGINT or SIGTERM aborts `signal`. */
  run(args: string[], signal: AbortSignal): Promise<number>
}

/** Wrong arguments: exits with 2, and prints the usage. */
export class UsageError extends Error {}

export function printLine(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Prints one line per problem; returns the exit status. */
export function report(problems: readonly Problem[]): 1 {
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`)
  return 1
}

/** The configuration, after printing its warnings; or null, after printing its problems. */
export function required(result: ConfigResult): Config | null {
  report(result.warnings)
  if (result.ok) return result.config
  report(result.problems)
  return null
}

export function failureLines(failed: Failed): string[] {
  return failed.kind === 'invalid' ? failed.problems.map(({ detail }) => detail) : [failed.detail]
}

/** Reads options. Each may appear once unless it is `multiple`: `--id 7 --id 8` is ambiguous. */
export function parseOnce<Wanted extends ParseArgsConfig>(
  wanted: Wanted,
): ReturnType<typeof parseArgs<Wanted>> {
  const { tokens = [] } = tokensOf(wanted)
  const names = tokens.flatMap(token =>
    token.kind === 'option' && !wanted.options?.[token.name]?.multiple ? token.name : [],
  )
  const tryTwice = names.find((name, i) => names.indexOf(name) !== i)
  if (tryTwice !== undefined) throw new UsageError(`--${tryTwice} is given more than once`)
  return parseArgs(wanted)
}

/** An unknown option is refused with the nearest known one. */
function tokensOf<Wanted extends ParseArgsConfig>(wanted: Wanted) {
  try {
    return parseArgs({ ...wanted, tokens: true })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const [, option, name] = /^Unknown option '(-+([^']+))'/.exec(message) ?? []
    if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION' || !name) throw error
    const meant = nearest(name, Object.keys(wanted.options ?? {}))
    throw new UsageError(`Unknown option '${option}'${meant === null ? '' : `: did you mean --${meant}?`}`)
  }
}

/** NaN unless all are digits: `Number` takes an empty text for 0. */
export function wholeNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN
}
