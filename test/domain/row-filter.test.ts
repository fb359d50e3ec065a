import { expect, test } from 'vitest'
import { type Compared, comparedBy } from '../../src/domain/mapping/comparable.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { actionOf, conditionProblems, createMatcher } from '../../src/domain/mapping/row-filter.ts'

const oids = {
  int: 23,
  numeric: 1700,
  bool: 16,
  text: 25,
  char: 1042,
  uuid: 2950,
  date: 1082,
  time: 1114,
  zoned: 1184,
  json: 3802,
  state: 90_000,
}
const labels = ['draft', 'live', 'banned']
const typeOf = (name: keyof typeof oids): Compared =>
  comparedBy({ baseTypeOf: oid => oid, labelsOf: oid => (oid === oids.state ? labels : null) }, oids[name])

function rowsOf(words: object) {
  const read = readMappingFile({ entities: { user: { table: 'users', ...words } } })
  if (!read.ok) throw new Error(read.problems.map(({ at, message }) => `${at}: ${message}`).join('\n'))
  return read.mapping[0]!.rows!
}

const verdictOf = (words: object, type: keyof typeof oids, value: string | null | undefined) =>
  createMatcher(rowsOf(words), () => typeOf(type))(() => value)

test.each<[unknown, keyof typeof oids, string | null, boolean]>([
  [5, 'int', '5', true],
  ['5', 'int', '5', true],
  [5, 'int', '6', false],
  [5, 'int', null, false],
  [null, 'int', null, true],
  [null, 'int', '5', false],
  ['not null', 'int', '5', true],
  ['not null', 'int', null, false],
  [['not null'], 'text', 'not null', true],
  [[1, null], 'int', null, true],
  [[1, 2], 'int', '2', true],
  [[1, 2], 'int', '3', false],
  [{ in: [1, 2] }, 'int', '2', true],
  [{ not: 1 }, 'int', '1', false],
  [{ not: 1 }, 'int', '2', true],
  [{ not: 1 }, 'int', null, true],
  [{ not: null }, 'int', null, false],
  [{ not: [1, null] }, 'int', null, false],
  [{ not: [1, null] }, 'int', '2', true],
  [{ '<': 10 }, 'int', '9', true],
  [{ '<': 10 }, 'int', '10', false],
  [{ '<': 10 }, 'int', null, false],
  [{ '<=': 10 }, 'int', '10', true],
  [{ '>': -2 }, 'int', '-1', true],
  [{ '>=': 2, '<': 4 }, 'int', '4', false],
  [{ '>': '9007199254740993' }, 'int', '9007199254740994', true],
  [{ '=': 1.5 }, 'numeric', '1.50', true],
  [{ '<': '1e400' }, 'numeric', 'Infinity', false],
  [{ '>': 1 }, 'numeric', 'NaN', true],
  [0, 'numeric', '-0', true],
  [false, 'bool', 'f', true],
  [true, 'bool', 'f', false],
  ['a', 'char', 'a  ', true],
  ['6F1C7A52-0000-4000-8000-000000000000', 'uuid', '6f1c7a52-0000-4000-8000-000000000000', true],
  [{ '<': '2026-01-31' }, 'date', '2026-01-30', true],
  [{ '<': '2026-01-31' }, 'date', '0044-03-15 BC', true],
  [{ '<': '2026-01-31' }, 'date', 'infinity', false],
  ['2026-01-31T12:00:00', 'time', '2026-01-31 12:00:00', true],
  [{ '>': '2026-01-31T12:00:00+02:00' }, 'zoned', '2026-01-31 10:00:00.000001+00', true],
  [{ '>': '2026-01-31' }, 'zoned', '2026-01-31 00:00:00+00', false],
  ['banned', 'state', 'banned', true],
  ['not null', 'json', '{}', true],
])('%j on a column of type %s with the value %j: %s', (condition, type, value, is) => {
  const shown = is ? 'yes' : 'no'
  expect(verdictOf({ where: { x: condition } }, type, value)).toBe(shown)
  expect(verdictOf({ deleted_when: { x: condition } }, type, value)).toBe(is ? 'no' : 'yes')
})

test('an unknown value makes the verdict unknown, unless another value decides', () => {
  const match = createMatcher(rowsOf({ where: { a: 1, b: 2 }, deleted_when: { c: true } }), column =>
    typeOf(column === 'c' ? 'bool' : 'int'),
  )
  const of = (row: Record<string, string | null | undefined>) => match(column => row[column])
  expect(of({ a: '1', b: '2', c: 'f' })).toBe('yes')
  expect(of({ a: '1', b: undefined, c: 'f' })).toBe('unknown')
  expect(of({ a: '3', b: undefined, c: undefined })).toBe('no')
  expect(of({ a: '1', b: '2', c: undefined })).toBe('unknown')
  expect(of({ a: '1', b: undefined, c: 't' })).toBe('no')
  expect(verdictOf({ where: { x: 5 } }, 'int', 'no number any more')).toBe('unknown')
})

test('the action follows from whether the row matched before and matches now', () => {
  expect([
    actionOf('no', 'no'),
    actionOf('no', 'yes'),
    actionOf('yes', 'yes'),
    actionOf('yes', 'no'),
  ]).toEqual([null, 'new', 'update', 'delete'])
  expect([
    actionOf('unknown', 'yes'),
    actionOf('unknown', 'no'),
    actionOf('yes', 'unknown'),
    actionOf('no', 'unknown'),
  ]).toEqual(['update', 'delete', 'update', 'new'])
})

test('all wrong conditions are refused at once, each with its path and fix', () => {
  const read = readMappingFile({
    entities: {
      user: {
        table: 'users',
        where: { a: [], b: { '<>': 1 }, c: { notin: [1] }, d: { '<': [1] }, e: 2 ** 60, f: {} },
        deleted_wen: { g: true },
      },
    },
  })
  expect(read.ok ? [] : read.problems.map(({ at, message }) => `${at} ${message}`)).toEqual([
    expect.stringMatching(/^entities.user.where.a is an empty list/),
    expect.stringMatching(/^entities.user.where.b has no operator <> \(did you mean not\?\): write a value/),
    expect.stringMatching(/^entities.user.where.c has no operator notin/),
    expect.stringMatching(/^entities.user.where.d has an operator with an invalid value/),
    expect.stringMatching(
      /^entities.user.where.e 1152921504606847000 has more digits than YAML reads exactly/,
    ),
    expect.stringMatching(/^entities.user.where.f names no operator/),
    expect.stringMatching(/^entities.user has no setting deleted_wen \(did you mean deleted_when\?\)/),
  ])
})

test.each<[unknown, keyof typeof oids, string | null]>([
  ['x', 'int', 'write a whole number, such as 5'],
  [5, 'text', 'write a text, such as "5" in quotation marks'],
  ['yes', 'bool', 'write true or false'],
  ['bannd', 'state', 'did you mean banned?'],
  [{ '<': 'live' }, 'state', 'write a list of values'],
  [{ '>': null }, 'int', 'write null, or not null'],
  ['{}', 'json', 'write null, or not null'],
  ['2026-02-30', 'date', 'write a date, such as 2026-01-31'],
  [null, 'json', null],
  [[1, 2], 'int', null],
])('%j does not fit a column of type %s: %s', (condition, type, mend) => {
  const { tests } = rowsOf({ where: { x: condition } }).where[0]!
  const problems = conditionProblems(tests, typeOf(type), 'its type')
  expect(problems.map(problem => problem.mend)).toEqual(mend === null ? [] : [mend])
})
