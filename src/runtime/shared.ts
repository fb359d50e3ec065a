/**
 * Makes a function that many may call and that does its work once for all who call while it is under way, and keeps
 * the result for `keepMs`. A failure is shared, too, and not kept.
 */
export function shared<T>(keepMs: number, nowMs: () => number, work: () => Promise<T>): () => Promise<T> {
  let current: { readonly result: Promise<T>; endedAtMs: number | null } | null = null
  return () => {
    if (current && (current.endedAtMs === null || nowMs() - current.endedAtMs < keepMs)) return current.result
    const mine = { result: work(), endedAtMs: null as number | null }
    current = mine
    mine.result.then(
      () => {
        mine.endedAtMs = nowMs()
      },
      () => {
        if (current === mine) current = null
      },
    )
    return mine.result
  }
}
