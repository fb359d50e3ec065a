import { expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { lostNl } from '../../src/admin/texts/nl/capture.ts'
import { nl } from '../../src/admin/texts/nl.ts'
import { lostText, refusalText } from '../../src/admin/texts/texts.ts'
import { isOfTables } from '../../src/capture/verdict/preflight-verdict.ts'
import { type LostTexts, lostTexts } from '../../src/domain/capture/lost-texts.ts'
import { type ProblemCode, problemCodes } from '../../src/domain/value/problem-codes.ts'

const table = '"public"."companies"'
const lost: { [Code in keyof LostTexts]: Parameters<LostTexts[Code]>[0] } = {
  table: { entity: 'company', table },
  'related.table': { entity: 'user', field: 'tags', table },
  'related.column': { entity: 'user', field: 'tags', column: 'owner, name', table },
  'related.item': { entity: 'user', field: 'tags', columns: 'name' },
}

test.each(Object.entries(lost))(
  'a dropped object (%s) is reported in Dutch, with its names',
  (code, facts) => {
    const text = (texts: object) => (texts as Record<string, (facts: object) => string>)[code]!(facts)
    expect(lostText(nl, text(lostTexts))).toBe(text(lostNl))
    expect(lostText(en, text(lostTexts))).toBe(null)
  },
)

const problem = (code: ProblemCode) => ({ code, what: `table ${table}`, found: 'found', mend: 'mend' })
const ofFile: ProblemCode[] = ['variable', 'mapping_file', 'no_connection', 'locked', 'setting_refused']

test.each([
  ...ofFile,
  ...(Object.keys(problemCodes) as ProblemCode[]).filter(code => isOfTables(problem(code))),
])('a mapping that is refused for %s is explained in Dutch', code => {
  expect(refusalText(nl, problem(code))).toMatch(/^table "public"\."companies": [A-Z].+\.$/)
  expect(refusalText(en, problem(code))).toBe(null)
})
