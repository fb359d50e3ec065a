import type { CaptureCode } from '../domain/capture-code.ts'

/** Thrown where it is known why capture does not go on: by its code a person finds what to do. */
export class CaptureFailure extends Error {
  readonly code: CaptureCode
  constructor(code: CaptureCode, reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.code = code
  }
}
