/** Open resources, in the order of opening. */
export type Resources = AsyncDisposable & {
  /** Keeps a resource open until the end. */
  use<Resource extends AsyncDisposable>(resource: Resource): Resource
  /** Calls a function at the end. */
  defer(close: () => unknown): void
  /** Moves everything to a new owner. */
  move(): Resources
  /** Closes everything, the newest first, even if one fails; throws the first failure. */
  disposeAsync(): Promise<void>
}

/** `AsyncDisposableStack`, which Node.js has from version 24 on. */
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
