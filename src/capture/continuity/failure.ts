import type { CaptureCode } from '../../domain/capture/capture-code.ts'

/** Thrown for a known failure: its code leads to the fix. */
export class CaptureFailure extends Error {
  readonly code: CaptureCode
  constructor(code: CaptureCode, reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.code = code
  }
}

const ofStoring = new WeakSet<object>()

/** Marks an error as one of storing, and throws it. */
export function throwOfStoring(error: unknown): never {
  if (typeof error === 'object' && error !== null) ofStoring.add(error)
  throw error
}

export const isOfStoring = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && ofStoring.has(error)
