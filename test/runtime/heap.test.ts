import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const heap = join(import.meta.dirname, '..', '..', 'src', 'runtime', 'heap.ts')

/** Says how large the young generation is: loaded, with all collected, and at its highest while rows come and go. */
const program = `
  import { setImmediate } from 'node:timers/promises'
  import { getHeapSpaceStatistics } from 'node:v8'
  import { keepHeapSmall } from ${JSON.stringify(heap)}

  const youngMb = () =>
    getHeapSpaceStatistics().find(space => space.space_name === 'new_space').space_size / 1_048_576
  const alive = new Array(10_000)
  let highest = 0
  async function work(rows) {
    highest = 0
    for (let n = 0; n < rows; n++) {
      alive[n % alive.length] = { n, text: 'row ' + n }
      if (n % 1_000 === 0) await setImmediate()
      if (n % 1_000 === 0) highest = Math.max(highest, youngMb())
    }
  }
  await work(10_000_000)
  const before = youngMb()
  keepHeapSmall()
  const after = youngMb()
  await work(10_000_000)
  console.log(JSON.stringify({ before, after, highest }))`

test('the young generation shrinks after the start, and grows again when useful', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '-e',
    program,
  ])
  expect(stderr).toBe('')
  const { before, after, highest } = JSON.parse(stdout)
  expect(before).toBeGreaterThan(16)
  expect(after).toBeLessThanOrEqual(2)
  expect(highest).toBe(16)
})

/** Needs much for a moment, and is busy with little afterwards; says how much memory it has at both times. */
const busy = `
  import { setTimeout } from 'node:timers/promises'
  import { keepHeapSmall } from ${JSON.stringify(heap)}

  const rssMb = () => process.memoryUsage.rss() / 1_048_576
  keepHeapSmall()
  let much = Array.from({ length: 2_000_000 }, (_, n) => ({ n, text: 'row ' + n }))
  const high = rssMb()
  much = null
  let low = high
  const recent = new Array(10_000)
  for (let n = 0, endsMs = Date.now() + 60_000; low > 200 && Date.now() < endsMs; ) {
    for (let i = 0; i < 50_000; i++) recent[n++ % recent.length] = { n, text: 'row ' + n }
    await setTimeout(1)
    low = rssMb()
  }
  console.log(JSON.stringify({ high, low }))`

test('a busy process releases memory that it no longer needs', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', busy])
  const { high, low } = JSON.parse(stdout)
  expect(high).toBeGreaterThan(250)
  expect(low).toBeLessThanOrEqual(200)
})
