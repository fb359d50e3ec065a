/** What `promise` becomes, or a rejection when it has not settled within `ms`; the work itself goes on. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${ms / 1000} s`)), ms)
  return await Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}
