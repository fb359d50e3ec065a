import { expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { nl } from '../../src/admin/texts/nl.ts'
import { lostText, refusalText } from '../../src/admin/texts/texts.ts'
import { isOfTables } from '../../src/capture/verdict/preflight-verdict.ts'
import { type Lost, lostSentence } from '../../src/domain/capture/lost-texts.ts'
import { type ProblemCode, problemCodes } from '../../src/domain/value/problem-codes.ts'

const table = '"public"."companies"'
const lost: readonly Lost[] = [
  { code: 'table', facts: { entity: 'company', table } },
  { code: 'related.table', facts: { entity: 'user', field: 'tags', table } },
  { code: 'related.column', facts: { entity: 'user', field: 'tags', column: 'owner, name', table } },
  { code: 'related.item', facts: { entity: 'user', field: 'tags', columns: 'name' } },
]

test.each(lost)('a dropped object ($code) is reported in Dutch, with its names', dropped => {
  const inDutch = lostText(nl, dropped)!
  for (const name of Object.values(dropped.facts)) expect(inDutch).toContain(name)
  expect(inDutch).not.toBe(lostSentence(dropped))
  expect(lostText(en, dropped)).toBe(null)
})

const problem = (code: ProblemCode) => ({ code, what: `table ${table}`, found: 'found', mend: 'mend' })
const ofFile: ProblemCode[] = ['variable', 'mapping_file', 'no_connection', 'locked', 'setting_refused']

test.each([
  ...ofFile,
  ...(Object.keys(problemCodes) as ProblemCode[]).filter(code => isOfTables(problem(code))),
])('a mapping that is refused for %s is explained in Dutch', code => {
  expect(refusalText(nl, problem(code))).toMatch(/^table "public"\."companies": [A-Z].+\.$/)
  expect(refusalText(en, problem(code))).toBe(null)
})
