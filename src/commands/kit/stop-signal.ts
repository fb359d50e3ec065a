const lookEveryMs = 250

/**
 * Aborted when the process is to stop in order: by the first SIGINT or SIGTERM; the second ends it at once. And, where npm or
 * npx has started it (`isRunByNpm`), when its parent is gone: npm passes a signal on to the shell that it starts a program
 * with, which ends, and does not pass it on.
 */
export function stopSignal(isRunByNpm: boolean): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
      stop.abort()
    })
  if (isRunByNpm) {
    const parent = process.ppid
    const look = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(look)
      stop.abort()
    }, lookEveryMs)
    look.unref()
  }
  return stop.signal
}
