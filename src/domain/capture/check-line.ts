import type { Problem } from '../value/problem.ts'
import type { ProblemCode } from '../value/problem-codes.ts'

/** One check. `code` is the same in every version; `mend` is null if nothing is to do. */
export type CheckLine = {
  readonly level: 'ok' | 'warning' | 'error'
  readonly code: ProblemCode
  readonly what: string
  readonly found: string
  readonly mend: string | null
}

export const ok = (code: ProblemCode, what: string, found: string): CheckLine => ({
  level: 'ok',
  code,
  what,
  found,
  mend: null,
})

export const warning = (code: ProblemCode, what: string, found: string, mend: string): CheckLine => ({
  level: 'warning',
  code,
  what,
  found,
  mend,
})

export const failure = ({ code, what, found, mend }: Problem): CheckLine => ({
  level: 'error',
  code,
  what,
  found,
  mend,
})

export function worstLevel(lines: readonly CheckLine[]): CheckLine['level'] {
  if (lines.some(({ level }) => level === 'error')) return 'error'
  return lines.some(({ level }) => level === 'warning') ? 'warning' : 'ok'
}
