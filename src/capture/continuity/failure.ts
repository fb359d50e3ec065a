import type { CaptureCode } from '../../domain/capture/capture-code.ts'

/** Thrown where it is known why capture does not go on: by its code a person finds what to do. */
export class CaptureFailure extends Error {
  readonly code: CaptureCode
  constructor(code: CaptureCode, reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.code = code
  }
}

const ofStoring = new WeakSet<object>()

/** Takes note that an error came from the storing of what was read, and throws it. */
export function throwOfStoring(error: unknown): never {
  if (typeof error === 'object' && error !== null) ofStoring.add(error)
  throw error
}

export const isOfStoring = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && ofStoring.has(error)
