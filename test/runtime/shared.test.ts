import { expect, test } from 'vitest'
import { shared } from '../../src/runtime/shared.ts'

test('work is shared by concurrent callers, and for a while afterwards', async () => {
  const clock = { ms: 0 }
  const works: PromiseWithResolvers<number>[] = []
  const ask = shared(
    1_000,
    () => clock.ms,
    () => {
      works.push(Promise.withResolvers())
      return works.at(-1)!.promise
    },
  )
  const all = [ask(), ask(), ask()]
  clock.ms += 5_000
  all.push(ask())
  works[0]!.resolve(1)
  expect(await Promise.all(all)).toEqual([1, 1, 1, 1])
  clock.ms += 999
  expect(await ask()).toBe(1)
  expect(works).toHaveLength(1)
  clock.ms += 1
  const next = ask()
  works[1]!.resolve(2)
  expect(await next).toBe(2)
})

test('the time to keep a result may depend on the result', async () => {
  const clock = { ms: 0 }
  let asked = 0
  const ask = shared(
    (result: number) => (result === 1 ? 100 : 1_000),
    () => clock.ms,
    async () => ++asked,
  )
  expect(await ask()).toBe(1)
  clock.ms = 100
  expect(await ask()).toBe(2)
  clock.ms = 1_099
  expect(await ask()).toBe(2)
  clock.ms = 1_100
  expect(await ask()).toBe(3)
})

test('a failure is shared, and not kept', async () => {
  let tries = 0
  const ask = shared(
    1_000,
    () => 0,
    async () => {
      tries++
      throw new Error(`try ${tries}`)
    },
  )
  await Promise.all([ask(), ask()].map(each => expect(each).rejects.toThrow('try 1')))
  await expect(ask()).rejects.toThrow('try 2')
})
