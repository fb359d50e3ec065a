/** A step that is to fail, so many times, with an error of a SQLSTATE. In a test file: `await vi.hoisted(async () => (await import(…)).injectedFault())`. */
export function injectedFault() {
  return {
    step: '',
    times: 0,
    code: null as string | null,
    hits: 0,
    arm(step: string, times: number, code: string | null = null) {
      Object.assign(this, { step, times, code, hits: 0 })
    },
    disarm() {
      this.times = 0
    },
    /** Throws where it is the turn of `step`. */
    strike(step: string) {
      if (step !== this.step || this.times <= 0) return
      this.times--
      this.hits++
      throw Object.assign(new Error(`injected into ${step}`), this.code !== null && { code: this.code })
    },
  }
}

export const always = Number.POSITIVE_INFINITY
