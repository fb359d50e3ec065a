import { kindOfError } from '../../domain/capture/capture-failures.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { describeError } from '../../runtime/log.ts'

/** The problem of a database that ended a statement or connection; null: another error. */
export function cutOffProblem(error: unknown): Problem | null {
  const kind = kindOfError(error as Error)
  if (kind === null || kind === 'setup') return null
  const found = `cut off: ${describeError(error)}`
  return kind === 'timeout'
    ? {
        code: 'timed_out',
        what: 'database',
        found,
        mend: 'find the cause (a timeout of the server, the role or the database; a lock; an operator), then run the command again',
      }
    : {
        code: 'cut_off',
        what: 'database',
        found,
        mend: 'make sure that the server stays up, has free connections and accepts the role and its password (walhook check), then run the command again: nothing is done twice',
      }
}
