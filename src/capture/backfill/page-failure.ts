import { kindOfError } from '../../domain/capture/capture-failures.ts'
import {
  addPageFailure,
  classifyPageFailures,
  type PageCode,
  type PageFailureKind,
  type PageFailures,
  Unfit,
} from '../../domain/capture/page-failures.ts'
import { describeError } from '../../runtime/log.ts'

/** Thrown if the page itself can't be stored: nothing of it is, and the stream continues. */
export class PageRefused extends Error {}

/** The meaning of a page's failure, together with earlier ones. */
type ClassifiedFailure = {
  readonly failures: PageFailures
  readonly reason: string
  readonly code: PageCode | null
  readonly isFinal: boolean
}

/** Classifies the error of a page. `position`: the key that the page begins after. */
export function classifyPageError(
  error: unknown,
  before: PageFailures | null,
  position: string,
): ClassifiedFailure {
  const failures = addPageFailure(before, { kind: kindOf(error), position })
  const what = error instanceof PageRefused ? 'could not be stored' : 'could not be read'
  const reason = `the next page ${what}: ${describeError(error)}`.slice(0, 1_000)
  return { failures, reason, ...classifyPageFailures(failures) }
}

function kindOf(error: unknown): PageFailureKind {
  if (error instanceof Unfit) return 'unfit'
  if (error instanceof PageRefused) return null
  const { code, message } = error as { code?: unknown; message?: string }
  return kindOfError({ code, ...(message !== undefined && { message }) })
}
