import { expect, test } from 'vitest'
import { type Row, unchanged } from '../../src/domain/capture/change.ts'
import { type Folded, fold, type Step } from '../../src/domain/capture/fold.ts'

const row: Row = ['1', 'a']
const old: Row = ['1', 'z']
const steps: Record<Step['kind'], Step> = {
  insert: { kind: 'insert', row },
  update: { kind: 'update', row, old },
  delete: { kind: 'delete', old },
  touch: { kind: 'touch', field: 'companies' },
}
const foldAll = (...kinds: Step['kind'][]) =>
  kinds.reduce<Folded | undefined>((before, kind) => fold(before, steps[kind]), undefined)!

test.each<[Step['kind'][], Folded['state']]>([
  [['insert'], 'new'],
  [['update'], 'update'],
  [['touch'], 'update'],
  [['delete'], 'delete'],
  [['insert', 'insert'], 'new'],
  [['insert', 'update'], 'new'],
  [['insert', 'touch'], 'new'],
  [['insert', 'delete'], 'nothing'],
  [['update', 'insert'], 'update'],
  [['update', 'update'], 'update'],
  [['update', 'touch'], 'update'],
  [['update', 'delete'], 'delete'],
  [['touch', 'delete'], 'delete'],
  [['touch', 'insert'], 'new'],
  [['touch', 'insert', 'delete'], 'nothing'],
  [['delete', 'insert'], 'update'],
  [['delete', 'update'], 'update'],
  [['delete', 'touch'], 'delete'],
  [['delete', 'delete'], 'delete'],
  [['insert', 'delete', 'insert'], 'new'],
  // What is changed after the row that came has gone was there before.
  [['insert', 'delete', 'update'], 'update'],
  [['insert', 'delete', 'touch'], 'nothing'],
  [['insert', 'delete', 'delete'], 'delete'],
  [['delete', 'insert', 'delete'], 'delete'],
])('%j is %s', (kinds, state) => {
  expect(foldAll(...kinds).state).toBe(state)
})

const sameName = (a: Row, b: Row) => a[1] === b[1]
const insert = (name: string): Step => ({ kind: 'insert', row: ['2', name] })
const update = (from: string, to: string): Step => ({ kind: 'update', old: ['2', from], row: ['2', to] })
const remove = (name: string): Step => ({ kind: 'delete', old: ['2', name] })

test.each<[string, Step[], Folded['state'], string | null, string | null]>([
  [
    'a row takes the key before the one that has it leaves it',
    [insert('a'), remove('b')],
    'update',
    'a',
    'b',
  ],
  ['the other order', [remove('b'), insert('a')], 'update', 'a', 'b'],
  [
    'the one that has it is changed in between',
    [insert('a'), update('b', 'c'), remove('c')],
    'update',
    'a',
    'b',
  ],
  ['both are gone in the end', [insert('a'), remove('b'), remove('a')], 'delete', null, 'b'],
  ['the row that came is changed', [insert('a'), update('a', 'c'), remove('b')], 'update', 'c', 'b'],
  [
    'the row that came has gone, and nothing was there',
    [insert('a'), update('a', 'c'), remove('c')],
    'nothing',
    null,
    null,
  ],
])('rows that share a key temporarily: %s', (_what, steps, state, name, nameBefore) => {
  const folded = steps.reduce<Folded | undefined>((so, step) => fold(so, step, sameName), undefined)!
  expect(folded.state).toBe(state)
  expect(folded.row?.[1] ?? null).toBe(name)
  if (nameBefore !== null) expect(folded.before).toEqual(['2', nameBefore])
})

test('the last row is kept until a delete', () => {
  expect(foldAll('insert', 'touch').row).toEqual(row)
  expect(foldAll('touch').row).toBeNull()
  expect(foldAll('update', 'delete').row).toBeNull()
})

test('an unchanged TOAST value comes from the previous step, if its columns are the same', () => {
  const inserted = fold(undefined, { kind: 'insert', row: ['1', 'long', 'x'] })
  const left: Row = ['1', unchanged, 'y']
  expect(fold(inserted, { kind: 'update', row: left, old: null }).row).toEqual(['1', 'long', 'y'])
  expect(fold(undefined, { kind: 'update', row: left, old: null }).row).toEqual(left)
  const fewer = fold(undefined, { kind: 'insert', row: ['1', 'long'] })
  expect(fold(fewer, { kind: 'update', row: left, old: null }).row).toEqual(left)
})

test.each<[Step['kind'][], Folded['before']]>([
  [['touch'], 'unmodified'],
  [['update'], old],
  [['touch', 'update'], old],
  [['delete'], old],
  [['insert'], 'unknown'],
])('the row before %j is known as %j', (kinds, before) => {
  expect(foldAll(...kinds).before).toEqual(before)
})

test('the row before is the one before the first change, even if only a later step has one', () => {
  const first = fold(undefined, { kind: 'update', row: ['1', 'b'], old: null })
  expect(first.before).toBe('unknown')
  expect(fold(first, { kind: 'update', row: ['1', 'c'], old: ['1', 'b'] }).before).toBe('unknown')
  const known = fold(undefined, { kind: 'delete', old: ['1', 'a'] })
  expect(fold(known, { kind: 'update', row: ['1', 'c'], old: ['1', 'b'] }).before).toEqual(['1', 'a'])
})

test('the changed related fields are kept once each', () => {
  const both = fold(foldAll('touch', 'touch', 'update'), { kind: 'touch', field: 'notes' })
  expect(both.changedLists).toEqual(['companies', 'notes'])
})
