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

test('the young generation gives back what the start needed, and grows again as far as it is of use', async () => {
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
