import { expect, test } from 'vitest'
import { draftMapping, type KnownTable } from '../../src/domain/mapping/first-mapping.ts'
import { columnsOf, stopsOf } from '../../src/domain/mapping/hops.ts'
import { publishedTables, tableKey } from '../../src/domain/mapping/mapping.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { mappingText } from '../../src/domain/mapping/mapping-text.ts'

const read = (...fields: object[]) =>
  readMappingFile({
    entities: {
      user: {
        table: 'users',
        key: 'uid',
        related: Object.fromEntries(fields.map((each, i) => [`f${i}`, each])),
      },
    },
  })

function problemsOf(...fields: object[]) {
  const result = read(...fields)
  if (result.ok) throw new Error('it is accepted')
  return Object.fromEntries(
    result.problems.map(({ at, message }) => [at.replace('entities.user.related.', ''), message]),
  )
}

const membership = { table: 'users_groups', owner: 'user_id', to: 'group_id' }

test("a related table is reached by a join table, an owner's column or several tables, and each is published", () => {
  const result = read(
    { table: 'groups', through: membership, value: 'name' },
    {
      table: 'app.countries',
      through: ['company_id', { table: 'companies', to: 'country', order_by: 'place' }],
      owner: 'code',
      value: 'name',
      where: { hidden: false },
    },
    { table: 'companies', through: 'company_id', fields: ['id', 'name'] },
    { table: 'profiles', owner: 'user_id', one: true, value: 'bio' },
  )
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  const [entity] = result.mapping
  const shown = entity!.related.map(list => [
    list.one ?? false,
    ...stopsOf(list).map(stop => `${stop.table.name}: ${columnsOf(stop).join(' ')}`),
  ])
  expect(shown).toEqual([
    [false, 'users_groups: user_id group_id', 'groups: id name'],
    [false, 'users: uid company_id', 'companies: id country place', 'countries: code name hidden'],
    [true, 'users: uid company_id', 'companies: id name'],
    [true, 'profiles: user_id bio'],
  ])
  expect(publishedTables(result.mapping).map(tableKey)).toEqual([
    '"public"."users"',
    '"public"."users_groups"',
    '"public"."groups"',
    '"public"."companies"',
    '"app"."countries"',
    '"public"."profiles"',
  ])
})

test('all unknown names on the path are refused at once, each with the nearest name', () => {
  const last = { table: 'groups', value: 'name' }
  expect(
    problemsOf(
      { ...last, through: { ...membership, ownr: 'x' } },
      { ...last, through: [membership, { tabel: 'groups', to: 'a' }] },
      { ...last, through: [membership, { table: 'groups' }] },
      { ...last, through: 7 },
      { ...last, through: [] },
      { ...last, through: ['a', 'b', 'c', 'd'] },
      { ...last, through: { ...membership, where: { place: { '=>': 3 } } } },
      { ...last, owner: 'user_id', throug: membership },
    ),
  ).toEqual({
    'f0.through': expect.stringContaining(
      'has no setting ownr (did you mean owner?): its settings are table, owner, to, where, order_by',
    ),
    'f1.through.1': expect.stringContaining('has no setting tabel (did you mean table?)'),
    'f1.through.1.table': expect.stringContaining('must be a table'),
    'f2.through.1.to': 'must name its column that refers to the next table',
    'f3.through': expect.stringContaining('must be a column of the entity, a table on the path'),
    'f4.through': expect.stringMatching(/./),
    'f5.through': 'may have 3 parts at most',
    'f6.through.where.place': expect.stringContaining('has no operator =>'),
    f7: expect.stringContaining('has no setting throug (did you mean through?)'),
  })
  expect(
    problemsOf(
      last,
      { ...last, through: [membership, 'company_id'] },
      { ...last, through: { table: 'users_groups', to: 'group_id' } },
      { ...last, through: 'company_id', key: 'kind', one: true },
      { ...last, through: 'company_id', nulls: 'keep' },
    ),
  ).toEqual({
    'f0.owner': expect.stringContaining("must name its column with the entity's key"),
    'f1.through.1': expect.stringContaining('"company_id" is a column of the entity, which must come first'),
    'f2.through.owner': "must name its column with the entity's key",
    'f3.one': expect.stringContaining('key makes one object of all rows'),
    'f4.nulls': expect.stringContaining('is for lists of single values'),
  })
})

test('a first mapping shows rows behind a join table by name, and entities by id', () => {
  const table = (
    name: string,
    columns: readonly string[],
    refs: Record<string, string> = {},
  ): KnownTable => ({
    name: { schema: 'public', name },
    columns: columns.map(column => ({ name: column, kind: 'text', suspicion: null })),
    key: columns.includes('id') ? 'id' : null,
    references: Object.entries(refs).map(([column, target]) => ({
      columns: [column],
      table: { schema: 'public', name: target },
      referenced: ['id'],
    })),
    rows: null,
  })
  const text = mappingText(
    draftMapping([
      table('users', ['id', 'email']),
      table('companies', ['id', 'name']),
      table('groups', ['id', 'name']),
      table('codes', ['id', 'number']),
      table('users_groups', ['id', 'user_id', 'group_id'], { user_id: 'users', group_id: 'groups' }),
      table('users_codes', ['user_id', 'code_id'], { user_id: 'users', code_id: 'codes' }),
      table('members', ['user_id', 'company_id'], { user_id: 'users', company_id: 'companies' }),
    ]),
    { database: 'shop', notes: [] },
  )
  expect(text).toContain(`      groups:
        table: groups
        through: { table: users_groups, owner: user_id, to: group_id }
        value: name
`)
  expect(text).toContain(`      codes:
        table: users_codes
        owner: user_id
        value: code_id
`)
  expect(text).toContain(`      companies:
        table: members
        owner: user_id
        value: company_id
`)
})
