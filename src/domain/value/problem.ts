import type { ProblemCode } from './problem-codes.ts'

/**
 * Something that keeps walhook from working, for a person to mend: the thing, what was found, what to do. Programs tell
 * problems apart by their code.
 */
export type Problem = {
  readonly code: ProblemCode
  readonly what: string
  /** The thing that `what` is a part of, where it is one: a partition's table. */
  readonly about?: string
  readonly found: string
  readonly mend: string
}

/** A problem on one line: `wal_level is replica: run …`. */
export function formatProblem(problem: Problem): string {
  return `${problem.what}: ${problem.found}. Fix: ${problem.mend}`
}
