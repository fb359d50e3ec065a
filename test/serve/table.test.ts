import { expect, test } from 'vitest'
import { formatTable, harmless } from '../../src/commands/client/table.ts'

const plain = { columns: 80, hasColours: false }

test('columns are as wide as their content, without trailing blanks', () => {
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

test('ids and times are never cut', () => {
  const row = ['11-29 16:41:25', 'user 1234567890 update', '1883211537311596577']
  const [, line] = formatTable(['AT', 'ABOUT', 'ID'], [row], { columns: 50, hasColours: false }).split('\n')
  expect(line).toBe('11-29 16:41:25  user 1234567…  1883211537311596577')
})

test('wide and combining characters keep a table aligned', () => {
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

test('colours do not count in the width', () => {
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
])('%j is printed as %j, so that foreign text cannot move the cursor', (text, shown) => {
  expect(harmless(text)).toBe(shown)
})
