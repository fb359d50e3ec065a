import { expect, test } from 'vitest'
import { apiPaths, named, otherPaths, pagePaths } from '../bench/all-paths.ts'
import { parameters, strangersLines, type Values, viewersLines } from '../bench/strangers-lines.ts'

const values = Object.fromEntries(parameters.map(name => [name, 7])) as Values
const asks = (lines: ReturnType<typeof strangersLines>) =>
  new Set(lines.flatMap(([, { ask = [] }]) => ask.map(each => named(each).split('?')[0])))
const filledIn = (path: { method: string; path: string }) => named(path).replaceAll(/\{\w+\}/g, '7')

test('the load run requests every path, as a stranger and as a viewer', () => {
  const guarded = [...apiPaths, ...pagePaths].map(filledIn)
  const open = otherPaths().map(named)
  expect(open).toEqual(expect.arrayContaining(['GET /livez', 'POST /login', 'GET /assets/htmx.js', 'GET /']))
  expect(guarded.length).toBeGreaterThan(60)
  const stranger = asks(strangersLines(values))
  expect([...open, ...guarded].filter(path => !stranger.has(path))).toEqual([])
  const viewer = asks(viewersLines(values, 'a-token', 'a=cookie'))
  expect(guarded.filter(path => !viewer.has(path))).toEqual([])
})
