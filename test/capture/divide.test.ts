import { expect, test } from 'vitest'
import { divide } from '../../src/capture/store/divide.ts'
import type { Batch, TransactionPart } from '../../src/capture/stream/batch.ts'

const part = (commitLsn: bigint, changes: number, mark: string | null = null): TransactionPart => ({
  commitLsn,
  committedAt: new Date(0),
  xid: 1,
  mark,
  changes: Array.from({ length: changes }, (_, n) => ({ n })) as never,
})
const complete = (...parts: TransactionPart[]): Batch => ({
  kind: 'complete',
  parts,
  confirmLsn: 100n,
  probe: 'probe',
})

test('a batch is divided between transactions, and its first half confirms only itself', () => {
  const [a, b, c] = [part(1n, 5), part(2n, 5), part(3n, 5, 'mark')]
  expect(divide(complete(a, b, c), 0.7)).toEqual([
    { kind: 'complete', parts: [a, b], confirmLsn: 2n, probe: null },
    complete(c),
  ])
  expect(divide(complete(a, b), 0)).toEqual([
    { kind: 'complete', parts: [a], confirmLsn: 1n, probe: null },
    complete(b),
  ])
})

test('one transaction is divided into a chunk and the rest, which keeps its mark', () => {
  const whole = part(3n, 4, 'mark')
  const [chunk, rest] = divide(complete(whole), 1)!
  expect(chunk).toEqual({ kind: 'chunk', part: { ...whole, mark: null, changes: whole.changes.slice(0, 3) } })
  expect(rest).toEqual(complete({ ...whole, changes: whole.changes.slice(3) }))
  const piece: Batch = { kind: 'chunk', part: whole }
  expect(divide(piece, 0.5)?.map(({ kind }) => kind)).toEqual(['chunk', 'chunk'])
})

test('a single change is not divided', () => {
  expect(divide(complete(part(1n, 1)), 0.5)).toBe(null)
  expect(divide(complete(), 0.5)).toBe(null)
  expect(divide({ kind: 'chunk', part: part(1n, 1) }, 0.5)).toBe(null)
})
