const maxIdle = 600
/** As many as may be in flight: all webhooks may have one receiver. */
const maxIdlePerKey = 500

/** The connections that no request uses, by what they may be used for. */
export function createIdleConnections<Connection extends { readonly key: string }>() {
  const byKey = new Map<string, Connection[]>()
  let count = 0

  function oneLess(key: string, kept: readonly Connection[]): void {
    count--
    if (kept.length === 0) byKey.delete(key)
  }

  return {
    /** The most recently used one, so that unneeded ones grow old and end; null: none. */
    take(key: string): Connection | null {
      const kept = byKey.get(key)
      const connection = kept?.pop()
      if (!connection) return null
      oneLess(key, kept!)
      return connection
    },

    /** False: there are enough. */
    add(connection: Connection): boolean {
      const kept = byKey.get(connection.key) ?? []
      if (count >= maxIdle || kept.length >= maxIdlePerKey) return false
      kept.push(connection)
      byKey.set(connection.key, kept)
      count++
      return true
    },

    remove(connection: Connection): void {
      const kept = byKey.get(connection.key)
      const at = kept?.indexOf(connection) ?? -1
      if (at < 0) return
      kept!.splice(at, 1)
      oneLess(connection.key, kept!)
    },

    clear(): void {
      byKey.clear()
      count = 0
    },
  }
}
