import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Row } from '../../src/domain/capture/change.ts'
import { type Folded, fold, type IsSameRow, type Step } from '../../src/domain/capture/fold.ts'

/** A row by what it is besides its key, which no other row has. */
type Tables = Map<string, string>
type Operation = {
  readonly kind: 'insert' | 'delete' | 'rename' | 'move'
  readonly who: number
  readonly key: number
}

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom('insert', 'delete', 'rename', 'move'),
  who: fc.nat(5),
  key: fc.nat(3),
})
/** Rows that are there at first: each key once. */
const beginning = fc.uniqueArray(fc.nat(3), { maxLength: 4 })

/** Carries out operations on a table, as Postgres would write them into the WAL, and folds them by key. */
function run(
  keys: readonly number[],
  operations: readonly Operation[],
  options: { isUniqueAtOnce: boolean },
) {
  const before: Tables = new Map(keys.map(key => [`old${key}`, `${key}`]))
  const table: Tables = new Map(before)
  const folded = new Map<string, Folded>()
  const isSameRow: IsSameRow | undefined = options.isUniqueAtOnce ? undefined : (a, b) => a[1] === b[1]
  let made = 0
  const old = (row: Row) => (options.isUniqueAtOnce ? null : row)
  const take = (key: string, step: Step) => void folded.set(key, fold(folded.get(key), step, isSameRow))
  const mayTake = (key: string) => !options.isUniqueAtOnce || ![...table.values()].includes(key)

  for (const { kind, who, key } of operations) {
    const [name, from] = [...table][who % Math.max(1, table.size)] ?? []
    const to = String(key)
    if (kind === 'insert' && mayTake(to)) {
      const row: Row = [to, `new${made++}`]
      table.set(row[1] as string, to)
      take(to, { kind: 'insert', row })
    } else if (name === undefined || from === undefined) continue
    else if (kind === 'delete') {
      table.delete(name)
      take(from, { kind: 'delete', old: old([from, name]) })
    } else if (kind === 'rename') {
      const renamed = `new${made++}`
      table.delete(name)
      table.set(renamed, from)
      take(from, { kind: 'update', old: old([from, name]), row: [from, renamed] })
    } else if (kind === 'move' && to !== from && mayTake(to)) {
      table.delete(name)
      table.set(name, to)
      take(from, { kind: 'delete', old: old([from, name]) })
      take(to, { kind: 'insert', row: [to, name] })
    }
  }
  return { before, table, folded }
}

/** What each key's fold says must be what the table shows, where at the end each key is there once. */
function expectTruth({ before, table, folded }: ReturnType<typeof run>) {
  const nameOf = (rows: Tables, key: string) => [...rows].find(([, at]) => at === key)?.[0]
  const has = (rows: Tables, key: string) => [...rows.values()].includes(key)
  for (const [key, { state, row }] of folded) {
    const was = has(before, key)
    const is = has(table, key)
    // Another row came and went beside the one that nobody touched.
    if (state === 'nothing' && is && nameOf(before, key) === nameOf(table, key)) continue
    expect(state).toBe(is ? (was ? 'update' : 'new') : was ? 'delete' : 'nothing')
    if (is) expect(table.get(row![1] as string)).toBe(key)
    else expect(row).toBeNull()
  }
}

test('with keys unique at every moment, folding gives the net change of the transaction', () => {
  fc.assert(
    fc.property(beginning, fc.array(operation, { maxLength: 12 }), (keys, operations) => {
      expectTruth(run(keys, operations, { isUniqueAtOnce: true }))
    }),
  )
})

test('with deferrable keys, folding gives the net change if old rows are complete', () => {
  fc.assert(
    fc.property(beginning, fc.array(operation, { maxLength: 12 }), (keys, operations) => {
      const end = run(keys, operations, { isUniqueAtOnce: false })
      fc.pre(new Set(end.table.values()).size === end.table.size)
      expectTruth(end)
    }),
    { numRuns: 1_000 },
  )
})
