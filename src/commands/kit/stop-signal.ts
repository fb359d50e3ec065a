const pollEveryMs = 250

/**
 * Aborted by the first SIGINT or SIGTERM; the second exits at once. If npm or npx started the process (`isRunByNpm`), also
 * when the parent is gone: npm signals its shell, which exits without passing the signal on.
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
    const poll = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(poll)
      stop.abort()
    }, pollEveryMs)
    poll.unref()
  }
  return stop.signal
}
