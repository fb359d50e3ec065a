import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A larger young generation saves no measurable work. */
const youngBytes = 16_777_216
/** Enough for headers; a body has its own buffer. */
const poolBytes = 1_024
/** The process needs some 150 MB at rest: more is mostly memory that V8 keeps for later. */
const highBytes = 200 * 1_048_576
/** A collection stops everything for some 100 ms. */
const leastBetweenMs = 15_000
/** If a collection frees less, the memory is in use, and the next one is later. */
const worthwhileBytes = 16 * 1_048_576
const maxBetweenMs = 600_000
const pollEveryMs = 1_000

/**
 * Keeps memory small under a long load, at no measurable cost. Rows become events and are gone within milliseconds, which
 * V8's and Node.js' defaults do not suit:
 *
 * - Once a batch survives, V8 allocates all rows directly in the old generation, where they stay until it is collected: +180
 *   MB.
 * - The young generation doubles up to 128 MB, and shrinks to 1 MB in an idle process. Here it grows only as far as it helps.
 * - The old generation is collected at up to four times the live memory. Here at 1.5 times (1.25 costs a tenth of all work),
 *   and once after the start.
 * - A busy process keeps freed pages: +40 MB. Only a collection for lack of memory returns them, so there is one when memory
 *   is high.
 * - A small buffer keeps its whole pool of 8 kB alive: +40 MB for bodies in flight.
 *
 * Call it once, after loading and before the load. The flags are V8's; a version without them warns on stderr, with its
 * default memory.
 * https://nodejs.org/docs/latest-v24.x/api/v8.html#v8setflagsfromstringflags
 * https://nodejs.org/docs/latest-v24.x/api/buffer.html#class-property-bufferpoolsize
 */
export function keepHeapSmall(): void {
  Buffer.poolSize = poolBytes
  setFlagsFromString('--no-allocation-site-pretenuring')
  setFlagsFromString('--heap-growing-percent=50')
  collectAll()
  boundYoungGeneration()
  returnUnused()
}

/** Frees what only the start needed. The function exists only with a flag, in a new context. */
function collectAll(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('globalThis.gc')
  setFlagsFromString('--no-expose-gc')
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

/** Checks every second whether memory is high, and collects garbage then. */
function returnUnused(): void {
  let betweenMs = leastBetweenMs
  let lastMs = performance.now() - betweenMs
  setInterval(() => {
    const before = process.memoryUsage.rss()
    const nowMs = performance.now()
    if (before < highBytes || nowMs - lastMs < betweenMs) return
    collectAll()
    lastMs = performance.now()
    const isWorthwhile = before - process.memoryUsage.rss() >= worthwhileBytes
    betweenMs = isWorthwhile ? leastBetweenMs : Math.min(2 * betweenMs, maxBetweenMs)
  }, pollEveryMs).unref()
}

/** Checks after every collection whether the young generation may double: V8 resizes it at that moment. */
function boundYoungGeneration(): void {
  let factor = 0
  const check = () => {
    const wanted = bytesOfYoungGeneration() < youngBytes ? 2 : 1
    if (wanted !== factor) setFlagsFromString(`--semi-space-growth-factor=${wanted}`)
    factor = wanted
  }
  check()
  new PerformanceObserver(check).observe({ entryTypes: ['gc'] })
}

function bytesOfYoungGeneration(): number {
  return getHeapSpaceStatistics().find(space => space.space_name === 'new_space')?.space_size ?? 0
}
