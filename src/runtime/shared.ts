/**
 * Wraps a function so that concurrent calls share one execution, and its result is kept for `keepMs`, which may depend on it.
 * A failure is shared but not kept.
 */
export function shared<T>(
  keepMs: number | ((result: T) => number),
  nowMs: () => number,
  work: () => Promise<T>,
): () => Promise<T> {
  let current: { readonly result: Promise<T>; goodUntilMs: number } | null = null
  return () => {
    if (current && nowMs() < current.goodUntilMs) return current.result
    const mine = { result: work(), goodUntilMs: Number.POSITIVE_INFINITY }
    current = mine
    mine.result.then(
      result => {
        mine.goodUntilMs = nowMs() + (typeof keepMs === 'number' ? keepMs : keepMs(result))
      },
      () => {
        if (current === mine) current = null
      },
    )
    return mine.result
  }
}
