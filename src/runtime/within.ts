/** Resolves like `promise`, or rejects after `ms`; the work itself continues. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${ms / 1000} s`)), ms)
  return await Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}
