import type { ProblemCode } from './problem-codes.ts'

/** A problem for a person to fix: the object, the finding, and the fix. Programs distinguish problems by code. */
export type Problem = {
  readonly code: ProblemCode
  readonly what: string
  /** The whole that `what` belongs to, such as a partition's table. */
  readonly about?: string
  readonly found: string
  readonly mend: string
}

/** A problem on one line: `wal_level is replica: run …`. */
export function formatProblem(problem: Problem): string {
  return `${problem.what}: ${problem.found}. Fix: ${problem.mend}`
}
