import { parseTargetList, type TargetList } from '../../src/domain/webhook/target-list.ts'

/** The allow list that a text stands for; throws where it has a problem. */
export function allowing(text: string): TargetList {
  const parsed = parseTargetList(text)
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return parsed.list
}

/** Why a verdict refuses, or `(allowed)`. */
export function reasonOf(verdict: { ok: true } | { ok: false; reason: string }): string {
  return verdict.ok ? '(allowed)' : verdict.reason
}
