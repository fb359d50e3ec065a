import { expect, test } from 'vitest'
import { formatTable, harmless } from '../../src/commands/client/table.ts'

const plain = { columns: 80, hasColours: false }

test('columns are as wide as what is in them, and nothing follows the last', () => {
  const rows = [
    ['1', 'Ada'],
    ['1234', ''],
  ]
  expect(formatTable(['ID', 'NAME'], rows, plain)).toBe('ID    NAME\n1     Ada\n1234')
  expect(formatTable(['', ''], rows, plain)).toBe('1     Ada\n1234')
})

test('the widest column is cut where a line would be too long, and none below eight', () => {
  const row = ['x'.repeat(40), 'y'.repeat(60), 'z']
  const [, line] = formatTable(['A', 'B', 'C'], [row], { columns: 50, hasColours: false }).split('\n')
  expect(line).toHaveLength(50)
  expect(line).toMatch(/^x+… {2}y+… {2}z$/)
  expect(formatTable(['A', 'B'], [row], { columns: 5, hasColours: false }).split('\n')[1]).toBe(
    'xxxxxxx…  yyyyyyy…',
  )
})

test('an ID and a time are never cut: a part of one names nothing', () => {
  const row = ['11-29 16:41:25', 'user 1234567890 update', '1883211537311596577']
  const [, line] = formatTable(['AT', 'ABOUT', 'ID'], [row], { columns: 50, hasColours: false }).split('\n')
  expect(line).toBe('11-29 16:41:25  user 1234567…  1883211537311596577')
})

test('signs that take two columns, or none, keep a table straight', () => {
  const table = (columns: number) =>
    formatTable(
      ['NAME', 'X'],
      [
        ['日本語の名前', 'a'],
        ['e\u0301 🙂', 'b'],
      ],
      { columns, hasColours: false },
    )
  expect(table(80)).toBe('NAME          X\n日本語の名前  a\ne\u0301 🙂          b')
  expect(table(12).split('\n')[1]).toBe('日本語の…  a')
})

test('colours take no room', () => {
  const cells = [{ text: 'on', colour: 'green' }, 'b'] as const
  expect(formatTable(['STATE', 'X'], [cells], { columns: 80, hasColours: true })).toBe(
    '\u001b[1mSTATE\u001b[0m  \u001b[1mX\u001b[0m\n\u001b[32mon\u001b[0m     b',
  )
})

test.each([
  ['a\u001b[2Jb', 'a�[2Jb'],
  ['a\u009b31mb', 'a�31mb'],
  ['a\r\nb', 'a��b'],
  ['a\u202eb\u2066c', 'a�b�c'],
  ['Łukasz 🙂', 'Łukasz 🙂'],
])('%j is written as %j: what others wrote can not move the cursor', (text, shown) => {
  expect(harmless(text)).toBe(shown)
})
