import { kindOfError } from '../../domain/capture/capture-failures.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { describeError } from '../../runtime/log.ts'

/** The problem of a database that ended a statement or connection; null: another error. */
export function cutOffProblem(error: unknown): Problem | null {
  const kind = kindOfError(error as Error)
  if (kind === null) return null
  const found = `cut off: ${describeError(error)}`
  return kind === 'timeout'
    ? {
        code: 'timed_out',
        what: 'database',
        found,
        mend: 'find what ends it (a timeout of the server, the role or the database; a lock; an operator), and run the same again',
      }
    : {
        code: 'cut_off',
        what: 'database',
        found,
        mend: 'see that the server stays up and has connections free (walhook check), and run the same again: nothing is done twice',
      }
}
