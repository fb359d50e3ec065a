import { expect, test } from 'vitest'
import { type Row, unchanged } from '../../src/domain/change.ts'
import { type Folded, fold, type Step } from '../../src/domain/fold.ts'

const row: Row = ['1', 'a']
const step = (kind: Step['kind']): Step => (kind === 'insert' || kind === 'update' ? { kind, row } : { kind })
const foldAll = (...kinds: Step['kind'][]) =>
  kinds.reduce<Folded | undefined>((before, kind) => fold(before, step(kind)), undefined)!

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
  [['delete', 'insert'], 'update'],
  [['delete', 'update'], 'update'],
  [['delete', 'touch'], 'delete'],
  [['delete', 'delete'], 'delete'],
  [['insert', 'delete', 'insert'], 'new'],
  [['insert', 'delete', 'update'], 'new'],
  [['insert', 'delete', 'touch'], 'nothing'],
  [['insert', 'delete', 'delete'], 'nothing'],
  [['delete', 'insert', 'delete'], 'delete'],
])('%j is %s', (kinds, state) => {
  expect(foldAll(...kinds).state).toBe(state)
})

test('the last row that came is kept, through touches, and none after a delete', () => {
  expect(foldAll('insert', 'touch').row).toEqual(row)
  expect(foldAll('touch').row).toBeNull()
  expect(foldAll('update', 'delete').row).toBeNull()
})

test('a value that an UPDATE left alone comes from the step before, where that has the same columns', () => {
  const inserted = fold(undefined, { kind: 'insert', row: ['1', 'long', 'x'] })
  const left: Row = ['1', unchanged, 'y']
  expect(fold(inserted, { kind: 'update', row: left }).row).toEqual(['1', 'long', 'y'])
  expect(fold(undefined, { kind: 'update', row: left }).row).toEqual(left)
  const fewer = fold(undefined, { kind: 'insert', row: ['1', 'long'] })
  expect(fold(fewer, { kind: 'update', row: left }).row).toEqual(left)
})
