import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import {
  backfillAs,
  chooseFields,
  type FieldRules,
  publishedTables,
  quoteIdentifier,
} from '../../src/domain/mapping/mapping.ts'
import { mappingFileSchema, readMappingFile } from '../../src/domain/mapping/mapping-file.ts'

const texts = (names: readonly string[]) => names.map(name => ({ name, kind: 'text' as const }))
const ruled = (fields: FieldRules) => ({ fields, related: [], key: 'id' })
const every = { include: null, omit: [], rename: {} }
const columns = ['id', 'mail', 'password_hash', 'note']

test.each([
  [every, { id: 'id', mail: 'mail', note: 'note' }, ['password_hash']],
  [{ ...every, rename: { mail: 'note' } }, { id: 'id', mail: 'note' }, ['password_hash', 'note']],
  [{ ...every, fixed: { note: '1' } }, { id: 'id', mail: 'mail' }, ['password_hash', 'note']],
  [{ ...every, omit: ['note', 'password_hash'] }, { id: 'id', mail: 'mail' }, []],
  [{ ...every, rename: { mail: 'email' } }, { id: 'id', mail: 'email', note: 'note' }, ['password_hash']],
  [
    { ...every, rename: { password_hash: 'hash' } },
    { id: 'id', mail: 'mail', password_hash: 'hash', note: 'note' },
    [],
  ],
  [
    { ...every, include: ['note', 'password_hash', 'gone'] },
    { note: 'note', password_hash: 'password_hash' },
    [],
  ],
  [
    { ...every, format: { password_hash: 'hex' as const } },
    { id: 'id', mail: 'mail', password_hash: 'password_hash', note: 'note' },
    [],
  ],
])('%j chooses %j and withholds %j', (rules, fields, withheld) => {
  const choice = chooseFields(ruled(rules), texts(columns))
  expect([...choice.fields]).toEqual(Object.entries(fields))
  expect(choice.withheld.map(({ column }) => column)).toEqual(withheld)
})

test('a column may be named like a property of objects', () => {
  const odd = ['constructor', '__proto__', 'toString']
  expect([...chooseFields(ruled(every), texts(odd)).fields]).toEqual(odd.map(column => [column, column]))
  const renamed = { ...every, rename: { constructor: 'team' } }
  expect([...chooseFields(ruled(renamed), texts(odd)).fields.values()]).toEqual([
    'team',
    '__proto__',
    'toString',
  ])
})

test('names are quoted, whatever is in them', () => {
  expect(quoteIdentifier('a"b; drop table x')).toBe('"a""b; drop table x"')
})

test('a mapping file is read, with defaults for omitted settings', () => {
  const read = readMappingFile({
    entities: {
      user: {
        table: 'users',
        fields: { omit: ['note'], format: { checkin: 'datetime' } },
        related: {
          companies: { table: 'crm.user_companies', owner: 'user_id', value: 'company_id' },
          custom: { table: { schema: 'a.b', name: 'C' }, owner: 'user_id', fields: ['name', 'value'] },
          custom_fields: { table: 'f', owner: 'user_id', key: 'name', value: 'value' },
          notes: {
            table: 'notes',
            owner: 'user_id',
            fields: ['id', 'body'],
            rename: { body: 'text' },
            format: { id: 'string' },
          },
        },
      },
      company: { table: 'crm.companies', key: 'uuid', on_truncate: 'delete' },
    },
  })
  expect(read).toEqual({
    ok: true,
    mapping: [
      {
        entityType: 'user',
        table: { schema: 'public', name: 'users' },
        key: 'id',
        fields: { include: null, omit: ['note'], rename: {}, format: { checkin: 'datetime' } },
        related: [
          {
            field: 'companies',
            table: { schema: 'crm', name: 'user_companies' },
            owner: 'user_id',
            columns: ['company_id'],
            plain: true,
          },
          {
            field: 'custom',
            table: { schema: 'a.b', name: 'C' },
            owner: 'user_id',
            columns: ['name', 'value'],
            plain: false,
          },
          {
            field: 'custom_fields',
            table: { schema: 'public', name: 'f' },
            owner: 'user_id',
            columns: ['value'],
            plain: true,
            key: 'name',
          },
          {
            field: 'notes',
            table: { schema: 'public', name: 'notes' },
            owner: 'user_id',
            columns: ['id', 'body'],
            plain: false,
            rename: { body: 'text' },
            format: { id: 'string' },
          },
        ],
        sendsUnchanged: false,
      },
      {
        entityType: 'company',
        table: { schema: 'crm', name: 'companies' },
        key: 'uuid',
        fields: every,
        related: [],
        sendsUnchanged: false,
        deletesOnTruncate: true,
      },
    ],
  })
  expect(read.ok && publishedTables(read.mapping).map(({ name }) => name)).toEqual([
    'users',
    'user_companies',
    'C',
    'f',
    'notes',
    'companies',
  ])
})

test('a table of several entities is published once; equal names in two schemas are two tables', () => {
  const entity = (schema: string) => ({
    entityType: 'user',
    table: { schema, name: 'users' },
    key: 'id',
    fields: every,
    related: [],
    sendsUnchanged: false,
  })
  expect(publishedTables(['a', 'a', 'b'].map(entity)).map(({ schema }) => schema)).toEqual(['a', 'b'])
})

const list = { table: 'a', owner: 'b' }
test.each<[unknown, string]>([
  [null, 'the file'],
  ['users', 'the file'],
  [{}, 'entities'],
  [{ entities: {} }, 'entities'],
  [{ entities: { User: { table: 'users' } } }, 'entities.User'],
  [{ entities: { user: {} } }, 'entities.user.table'],
  [{ entities: { user: { table: 'a.b.c' } } }, 'entities.user.table'],
  [{ entities: { user: { table: 'users', colour: 'red' } } }, 'entities.user'],
  [{ entities: { user: { table: 'users', fields: { include: [] } } } }, 'entities.user.fields.include'],
  [{ entities: { user: { table: 'users', fields: { rename: { a: 5 } } } } }, 'entities.user.fields.rename.a'],
  [{ entities: { user: { table: 'users', related: { x: list } } } }, 'entities.user.related.x'],
  [{ entities: { user: 'users' } }, 'entities.user'],
  [{ entities: { user: { table: '' } } }, 'entities.user.table'],
  [{ entities: { user: { table: { schema: 'public' } } } }, 'entities.user.table'],
  [{ entities: { user: { table: { schema: '', name: 'users' } } } }, 'entities.user.table.schema'],
  [{ entities: { user: { table: 'users', key: '' } } }, 'entities.user.key'],
  [{ entities: { user: { table: 'users', key: ['id'] } } }, 'entities.user.key'],
  [{ entities: { user: { table: 'users', fields: ['id'] } } }, 'entities.user.fields'],
  [{ entities: { user: { table: 'users', fields: { only: ['id'] } } } }, 'entities.user.fields'],
  [{ entities: { user: { table: 'users', fields: { omit: 'id' } } } }, 'entities.user.fields.omit'],
  [{ entities: { user: { table: 'users', fields: { omit: ['id', 5] } } } }, 'entities.user.fields.omit.1'],
  [
    { entities: { user: { table: 'users', related: { x: { table: 'a', value: 'c' } } } } },
    'entities.user.related.x.owner',
  ],
  [
    { entities: { user: { table: 'users', related: { x: { ...list, fields: [] } } } } },
    'entities.user.related.x.fields',
  ],
  [
    { entities: { user: { table: 'users', related: { x: { ...list, value: 'c', order: 'd' } } } } },
    'entities.user.related.x',
  ],
  [{ entities: { user: { table: 'users' } }, version: 1 }, 'the file'],
  [{ entities: { user: { table: 'users', on_truncate: 'ignore' } } }, 'entities.user.on_truncate'],
  [
    { entities: { user: { table: 'users', fields: { format: { at: 'unix' } } } } },
    'entities.user.fields.format.at',
  ],
  [
    { entities: { user: { table: 'users', related: { x: { ...list, fields: ['c'], key: 'd' } } } } },
    'entities.user.related.x.key',
  ],
  [
    { entities: { user: { table: 'users', related: { x: { ...list, value: 'c', rename: { c: 'd' } } } } } },
    'entities.user.related.x.rename',
  ],
  [
    {
      entities: { user: { table: 'users', related: { x: { ...list, fields: ['c'], rename: { d: 'e' } } } } },
    },
    'entities.user.related.x.rename.d',
  ],
  [
    {
      entities: {
        user: { table: 'users', related: { x: { ...list, value: 'c', format: { d: 'string' } } } },
      },
    },
    'entities.user.related.x.format.d',
  ],
  [
    { entities: { user: { table: 'users', related: { x: { ...list, value: 'c', fields: ['d'] } } } } },
    'entities.user.related.x',
  ],
])('%j is refused at %s', (content, place) => {
  const read = readMappingFile(content)
  expect(read.ok).toBe(false)
  if (read.ok) return
  expect(read.problems.map(({ at }) => at)).toContain(place)
  for (const { message } of read.problems) expect(message).toMatch(/\w/)
})

test('docs/walhook.schema.json is up to date (if not: npm run schema)', async () => {
  const kept = await readFile(new URL('../../docs/walhook.schema.json', import.meta.url), 'utf8')
  expect(JSON.parse(kept)).toEqual(mappingFileSchema())
})

test('a backfill sends rows as `new`, or as the mapping sets', () => {
  const result = readMappingFile({
    entities: { user: { table: 'users' }, company: { table: 'companies', backfill: 'update' } },
  })
  if (!result.ok) throw new Error(JSON.stringify(result))
  expect(['user', 'company', 'nothing'].map(backfillAs(result.mapping))).toEqual(['new', 'update', 'new'])
  expect(readMappingFile({ entities: { user: { table: 'users', backfill: 'delete' } } })).toEqual({
    ok: false,
    problems: [{ at: 'entities.user.backfill', message: 'must be new or update' }],
  })
})

test.each([
  [{}, undefined],
  [{ version: 2 }, true],
  [{ version: 2, new_columns: 'send' }, undefined],
  [{ new_columns: 'ignore' }, true],
])('later columns with new_columns %j', (file, ignores) => {
  const ignoresOf = (entity: object) => {
    const read = readMappingFile({ ...file, entities: { user: { table: 'users', ...entity } } })
    if (!read.ok) throw new Error(JSON.stringify(read.problems))
    return read.mapping[0]!.ignoresNewColumns
  }
  expect(ignoresOf({})).toBe(ignores)
  expect(ignoresOf({ fields: { include: 'all' } })).toBe(undefined)
  expect(ignoresOf({ new_columns: 'send' })).toBe(undefined)
  expect(ignoresOf({ new_columns: 'ignore' })).toBe(true)
})

test('all unknown settings of a mapping file are reported at once, each with the nearest name', () => {
  const read = readMappingFile({
    entitys: {},
    version: 3,
    entities: {
      user: { table: 'users', fields: { exclude: ['a'], incldue: ['b'], include: 'any' } },
      company: { table: 'companies', new_colums: 'send', related: { notes: { tabel: 'n', owner: 'o' } } },
    },
  })
  if (read.ok) throw new Error('it was read')
  expect(read.problems).toContainEqual({ at: 'the file', message: 'version must be 2, or absent' })
  const said = Object.fromEntries(read.problems.map(({ at, message }) => [at, message]))
  expect(said).toMatchObject({
    'the file': expect.stringContaining(
      'has no setting entitys (did you mean entities?): its settings are version',
    ),
    'entities.user.fields.include': 'must be all, or a list of at least one column',
    'entities.user.fields': expect.stringContaining(
      'incldue (did you mean include?): its settings are include, omit',
    ),
    'entities.company': expect.stringContaining('has no setting new_colums (did you mean new_columns?)'),
    'entities.company.related.notes': expect.stringContaining('has no setting tabel (did you mean table?)'),
  })
})

test('a label is a list of field names, or a text of them separated by spaces', () => {
  const labelOf = (label: unknown) => {
    const read = readMappingFile({ entities: { user: { table: 'users', label } } })
    return read.ok ? read.mapping[0]!.label : read.problems.map(({ at }) => at)
  }
  expect(labelOf('name_first name_last')).toEqual(['name_first', 'name_last'])
  expect(labelOf(' name ')).toEqual(['name'])
  expect(labelOf(['First name', 'b'])).toEqual(['First name', 'b'])
  expect(labelOf(undefined)).toBeUndefined()
  for (const wrong of ['', ' ', [], [''], 7, 'a b c d e f'])
    expect({ wrong, at: labelOf(wrong) }).toEqual({
      wrong,
      at: expect.arrayContaining([expect.stringMatching(/^entities\.user\.label/)]),
    })
  const { problems } = readMappingFile({ entities: { user: { table: 'users', labels: 'a' } } }) as {
    problems: readonly { message: string }[]
  }
  expect(problems[0]!.message).toContain('has no setting labels (did you mean label?)')
})

test('`order` and `duplicates` are read, and refused where they have no effect', () => {
  const listOf = (list: object) =>
    readMappingFile({
      entities: { user: { table: 'users', related: { l: { table: 't', owner: 'o', ...list } } } },
    })
  const rows = (list: object) => {
    const read = listOf({ value: 'v', ...list })
    return read.ok ? read.mapping[0]!.related[0] : read.problems
  }
  expect(rows({ order_by: 'place' })).toMatchObject({ order: [{ column: 'place', descends: false }] })
  expect(rows({ order_by: ['a', 'b'] })).toMatchObject({
    order: [
      { column: 'a', descends: false },
      { column: 'b', descends: false },
    ],
  })
  expect(rows({ order_by: { at: 'desc' } })).toMatchObject({ order: [{ column: 'at', descends: true }] })
  expect(rows({ key: 'name', repeated: 'list' })).toMatchObject({ repeats: true })
  expect(rows({ nulls: 'keep' })).toMatchObject({ keepsNulls: true })
  expect(rows({ key: 'name', repeated: 'list', nulls: 'keep' })).toMatchObject({ keepsNulls: true })
  expect(rows({ nulls: 'omit' })).not.toHaveProperty('keepsNulls')
  expect(rows({ where: { path: 'companies', at: { '>': '2026-01-01' } } })).toMatchObject({
    where: [{ column: 'path' }, { column: 'at', tests: [{ kind: 'compare', operator: '>' }] }],
  })
  expect(rows({ key: 'name', repeated: 'last' })).not.toHaveProperty('repeats')
  const at = 'entities.user.related.l'
  expect(rows({ order_by: { at: 'down' } })).toEqual([
    { at: `${at}.order_by`, message: expect.stringContaining('asc or desc') },
  ])
  expect(rows({ order_by: [] })).toMatchObject([{ at: `${at}.order_by` }])
  expect(rows({ repeated: 'list' })).toEqual([
    { at: `${at}.repeated`, message: expect.stringContaining('under key') },
  ])
  expect(rows({ key: 'name', nulls: 'keep' })).toEqual([
    { at: `${at}.nulls`, message: expect.stringContaining('lists of single values') },
  ])
  expect(rows({ value: undefined, fields: ['v'], nulls: 'omit' })).toMatchObject([{ at: `${at}.nulls` }])
  expect(rows({ nulls: 'kep', wher: {}, where: {} })).toEqual([
    { at: `${at}.where`, message: 'must name at least one column' },
    { at: `${at}.nulls`, message: 'must be omit or keep' },
    { at, message: expect.stringContaining('wher (did you mean where?)') },
  ])
  expect(rows({ where: { a: { gt: 5, '=>': 1 }, b: [] } })).toMatchObject([
    { at: `${at}.where.a`, message: expect.stringContaining('has no operator gt, => (did you mean') },
    { at: `${at}.where.b`, message: expect.stringContaining('is an empty list') },
  ])
  expect(rows({ key: 'name', repeated: 'all' })).toEqual([
    { at: `${at}.repeated`, message: 'must be last or list' },
  ])
})

test('include: all contradicts new_columns: ignore', () => {
  const entity = { table: 'users', new_columns: 'ignore', fields: { include: 'all' } }
  expect(readMappingFile({ entities: { user: entity } })).toMatchObject({
    ok: false,
    problems: [{ at: 'entities.user.new_columns' }],
  })
})

test('fixed values are kept as JSON, and a number that loses digits is refused', () => {
  const fixedOf = (fixed: unknown) => {
    const read = readMappingFile({ entities: { user: { table: 'users', fields: { fixed } } } })
    return read.ok ? read.mapping[0]!.fields.fixed : read.problems
  }
  expect(fixedOf({ source: 'crm', rank: 1.5, tags: ['a', null], __on: true })).toEqual({
    source: '"crm"',
    rank: '1.5',
    tags: '["a",null]',
    __on: 'true',
  })
  const at = 'entities.user.fields.fixed'
  expect(fixedOf({ n: [2 ** 53] })).toMatchObject([
    { at: `${at}.n`, message: expect.stringContaining('write it in quotes') },
  ])
  expect(fixedOf('crm')).toMatchObject([{ at }])
})
