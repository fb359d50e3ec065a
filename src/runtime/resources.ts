/** Things that are open, in the order of their opening. */
export type Resources = AsyncDisposable & {
  /** Keeps something open until the end. */
  use<Resource extends AsyncDisposable>(resource: Resource): Resource
  /** Does something at the end. */
  defer(close: () => unknown): void
  /** Hands everything over to a new owner; nothing is left here. */
  move(): Resources
  /** Closes everything, the newest first. Each is closed, also where another one fails; the first failure is thrown. */
  disposeAsync(): Promise<void>
}

/** What `AsyncDisposableStack` does, which Node.js has from version 24 on only. */
export function openResources(closers: (() => unknown)[] = []): Resources {
  async function disposeAsync(): Promise<void> {
    const failures: unknown[] = []
    for (let close = closers.pop(); close; close = closers.pop()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
  return {
    use(resource) {
      closers.push(() => resource[Symbol.asyncDispose]())
      return resource
    },
    defer(close) {
      closers.push(close)
    },
    move: () => openResources(closers.splice(0)),
    disposeAsync,
    [Symbol.asyncDispose]: disposeAsync,
  }
}
