import type { Queue } from './queue.ts'

const afterFailureMs = 1_000

/** Running database queries, one of each kind. Their end wakes the loop. */
export type Asking = {
  readonly clockMs: () => number
  readonly failed: (error: unknown) => void
  readonly wake: () => void
  readonly running: Set<string>
  /** After a failure, no query starts before this moment. */
  againAtMs: number
}

export const openAsking = (options: Pick<Asking, 'clockMs' | 'failed' | 'wake'>): Asking => ({
  ...options,
  running: new Set(),
  againAtMs: Number.NEGATIVE_INFINITY,
})

export const isAsked = ({ running }: Asking, name: string): boolean => running.has(name)

/** Starts work unless it is already running. */
export const once = (asking: Asking, name: string, work: () => Promise<void>): void =>
  begin(asking, asking.running, name, work)

/** The same per webhook. */
export const onceFor = (
  asking: Asking,
  queue: Queue,
  kind: 'reading' | 'picking',
  work: () => Promise<void>,
): void => begin(asking, queue.busy, kind, work)

function begin<Name>(asking: Asking, running: Set<Name>, name: Name, work: () => Promise<void>): void {
  if (running.has(name)) return
  running.add(name)
  work()
    .catch(error => {
      asking.againAtMs = asking.clockMs() + afterFailureMs
      asking.failed(error)
    })
    .finally(() => {
      running.delete(name)
      asking.wake()
    })
}
