import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** More of a young generation than this saves no work that could be measured. */
const youngBytes = 16_777_216
/** Enough for headers; a body has a buffer of its own. */
const poolBytes = 1_024
/** At rest the process has some 150 MB: what is more than this is, most of it, memory that V8 keeps for later. */
const highBytes = 200 * 1_048_576
/** A collection stops everything for some 100 ms. */
const leastBetweenMs = 15_000
/** Where it gives back less than this, memory is in use, and it is tried more and more rarely. */
const worthwhileBytes = 16 * 1_048_576
const mostBetweenMs = 600_000
const lookEveryMs = 1_000

/**
 * Keeps the memory of this process small under a long load, at no cost that could be measured. Rows come, become events
 * and go again within milliseconds; V8 and Node.js by themselves make of that what does not suit it:
 *
 * - Having once seen a batch survive, V8 decides to put all rows into the old generation at once, where they lie until
 *   that is collected: +180 MB.
 * - The young generation doubles whenever enough has survived in total, up to 128 MB, and shrinks to 1 MB in a process that
 *   has little to do. Here it grows as far as it is of use, and no further.
 * - Of the old generation it collects nothing before that has grown to up to four times of what was alive, although no more
 *   is alive under load than after the start. Here half more is enough (a quarter more costs a tenth of all work); and what only the start needed is collected now.
 * - Of pages that it has freed it keeps as many as it ever needed at once, for as long as the process is busy: +40 MB. Only a
 *   collection for want of memory gives them back, so there is one where memory is high.
 * - A small buffer is a part of one of 8 kB, and keeps all of that until it is collected itself: +40 MB for the bodies on
 *   their way.
 *
 * To be called once, when everything is loaded and before the load. The flags are V8's, not promises of Node.js: a version that no
 * longer knows them says so on stderr, and memory is what it was.
 * https://nodejs.org/docs/latest-v24.x/api/v8.html#v8setflagsfromstringflags
 * https://nodejs.org/docs/latest-v24.x/api/buffer.html#class-property-bufferpoolsize
 */
export function keepHeapSmall(): void {
  Buffer.poolSize = poolBytes
  setFlagsFromString('--no-allocation-site-pretenuring')
  setFlagsFromString('--heap-growing-percent=50')
  collectAll()
  boundYoungGeneration()
  giveBackWhatIsFree()
}

/** Gives back what only the start needed. The function is not there unless it is asked for, and only in a new context. */
function collectAll(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('globalThis.gc')
  setFlagsFromString('--no-expose-gc')
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

/** Looks every second whether memory is high, and has V8 give back what it does not use. */
function giveBackWhatIsFree(): void {
  let betweenMs = leastBetweenMs
  let lastMs = performance.now() - betweenMs
  setInterval(() => {
    const before = process.memoryUsage.rss()
    const nowMs = performance.now()
    if (before < highBytes || nowMs - lastMs < betweenMs) return
    collectAll()
    lastMs = performance.now()
    const isWorthwhile = before - process.memoryUsage.rss() >= worthwhileBytes
    betweenMs = isWorthwhile ? leastBetweenMs : Math.min(2 * betweenMs, mostBetweenMs)
  }, lookEveryMs).unref()
}

/** Looks after every collection whether the young generation may still double: it is then that V8 resizes it. */
function boundYoungGeneration(): void {
  let factor = 0
  const look = () => {
    const wanted = bytesOfYoungGeneration() < youngBytes ? 2 : 1
    if (wanted !== factor) setFlagsFromString(`--semi-space-growth-factor=${wanted}`)
    factor = wanted
  }
  look()
  new PerformanceObserver(look).observe({ entryTypes: ['gc'] })
}

function bytesOfYoungGeneration(): number {
  return getHeapSpaceStatistics().find(space => space.space_name === 'new_space')?.space_size ?? 0
}
