import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { draftMapping, type KnownTable } from '../../src/domain/mapping/first-mapping.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { mappingText } from '../../src/domain/mapping/mapping-text.ts'

/** `id` is the key where it is there; `a -> b` is a column a that references the key of b. */
function table(name: string, columns: string, more: Partial<KnownTable> = {}): KnownTable {
  const parsed = columns.split(', ').map(text => text.split(' -> '))
  return {
    name: { schema: 'public', name },
    columns: parsed.map(([column]) => ({
      name: column!,
      kind: column!.endsWith('_at') ? 'moment' : 'text',
      suspicion: column === 'password' ? 'its name looks like a credential' : null,
    })),
    key: parsed.some(([column]) => column === 'id') ? 'id' : null,
    references: parsed.flatMap(([column, target]) =>
      target ? [{ columns: [column!], table: { schema: 'public', name: target }, referenced: ['id'] }] : [],
    ),
    rows: null,
    ...more,
  }
}

const written = (tables: readonly KnownTable[]) => {
  const text = mappingText(draftMapping(tables), { database: 'shop', notes: [] })
  return { text, file: parse(text) }
}

test.each([
  [['users', 'companies'], 'users', 'companies'],
  [['auth_user', 'auth_group'], 'auth_user', undefined],
  [['directus_users', 'directus_roles'], 'directus_users', undefined],
  [['user_entity', 'realm'], 'user_entity', undefined],
  [['User', 'Organization'], 'User', 'Organization'],
  [['accounts_customuser', 'accounts', 'tenants'], 'accounts_customuser', 'tenants'],
  [['profiles', 'users', 'teams', 'organisations'], 'users', 'organisations'],
  [['people', 'firms'], 'people', 'firms'],
])('in the tables %j, users are %s and companies are %s', (names, user, company) => {
  const { entities } = draftMapping(names.map(name => table(name, 'id, name')))
  const of = (type: string) => entities.find(({ entityType }) => entityType === type)?.table.name
  expect([of('user'), of('company')]).toEqual([user, company])
})

test('a join table is not an entity, nor is a table without a key of one column', () => {
  const { entities } = draftMapping([
    table('company_user', 'id, user_id -> people, company_id -> firms, created_at'),
    table('people', 'id, name'),
    table('firms', 'id, name'),
    table('users', 'a, b'),
  ])
  expect(entities.map(each => each.table.name)).toEqual(['people', 'firms'])
})

test('foreign keys become related values in the form that fits their table', () => {
  const { file, text } = written([
    table('users', 'id, email, password, company_id -> companies'),
    table('companies', 'id, name'),
    table('users_roles', 'id, order, parent_id -> users, value'),
    table('memberships', 'user_id -> users, company_id -> companies'),
    table('user_attribute', 'id, user_id -> users, name, value'),
    table('notes', 'id, author -> users, editor -> users, body, password'),
    table('sessions', 'id, user_id -> users, ip'),
    table('visits', 'id, user_id -> users, page', { rows: 100_000 }),
  ])
  expect(readMappingFile(file)).toMatchObject({ ok: true })
  expect(file.entities.user.fields.include).toEqual(['id', 'email', 'company_id'])
  expect(file.entities.user.related).toEqual({
    roles: { table: 'users_roles', owner: 'parent_id', value: 'value' },
    companies: { table: 'memberships', owner: 'user_id', value: 'company_id' },
    attribute: { table: 'user_attribute', owner: 'user_id', key: 'name', value: 'value' },
    notes_by_author: { table: 'notes', owner: 'author', fields: ['id', 'editor', 'body'] },
    notes_by_editor: { table: 'notes', owner: 'editor', fields: ['id', 'author', 'body'] },
    visits: { table: 'visits', owner: 'user_id', value: 'page' },
  })
  expect(text).toContain('# sessions: # its name looks like a credential')
  // The company's list of users says nothing that a user's company_id does not.
  expect(file.entities.company.related).toEqual({
    users: { table: 'memberships', owner: 'company_id', value: 'user_id' },
  })
  expect(text).toContain('# it is an entity itself, and its company_id already says so')
})

test.each([
  ['id, name_first, name_infix, name_last, name', 'name_first name_infix name_last'],
  ['id, lastName, firstName', 'firstName lastName'],
  ['id, email, display_name', 'display_name'],
  ['id, surname', 'surname'],
  ['id, email', undefined],
])('the columns %s give the label %s', (columns, label) => {
  const { file } = written([table('users', columns)])
  expect(readMappingFile(file)).toMatchObject({ ok: true })
  expect(file.entities.user.label).toEqual(label)
})

test('a label names only sent text columns', () => {
  const column = (name: string, more: object) => ({ name, kind: 'text' as const, suspicion: null, ...more })
  const { file } = written([
    table('users', 'id', {
      columns: [
        column('id', {}),
        column('name', { suspicion: 'it seems to hold passwords' }),
        column('title', { kind: 'bytes' }),
      ],
    }),
  ])
  expect(file.entities.user).not.toHaveProperty('label')
})

test('a long list is left as a comment with its length', () => {
  const { text } = written([
    table('users', 'id', { rows: 10 }),
    table('visits', 'id, user_id -> users, page', { rows: 5_000 }),
  ])
  expect(text).toContain('# visits: # it has about 500 rows for each user')
})

test('names with any characters are read back unchanged, and no comment spills into the next line', () => {
  const names = [
    'id',
    'yes',
    'null',
    '1e3',
    'a: b',
    '# x',
    "it's",
    '"q"',
    ' pad ',
    'a\nb: c',
    '- d',
    'naïve',
    '{x}',
  ]
  const odd = table('users', 'id', {
    columns: names.flatMap(name => [
      { name, kind: 'text' as const, suspicion: null },
      { name: `${name} hidden`, kind: 'text' as const, suspicion: 'because\nentities: {}' },
    ]),
    name: { schema: 'a.b', name: 'Users: "x"' },
  })
  const { file } = written([{ ...odd, name: { schema: 'a.b', name: 'users' } }])
  expect(file.entities.user.fields.include).toEqual(names)
  expect(file.entities.user.table).toEqual({ schema: 'a.b', name: 'users' })
})

test('a table with only suspicious columns sends its key', () => {
  const { file } = written([
    table('users', 'id', { columns: [{ name: 'id', kind: 'bytes', suspicion: 'it holds bytes' }] }),
  ])
  expect(file.entities.user.fields.include).toEqual(['id'])
})

test('a key of several columns is written as a list, and each reference maps its columns', () => {
  const of = (columns: string[], name: string, referenced: string[]) => ({
    columns,
    table: { schema: 'public', name },
    referenced,
  })
  const { file } = written([
    table('users', 'tenant_id -> tenants, number, email', { key: ['tenant_id', 'number'] }),
    table('notes', 'id, author, body, org', {
      references: [of(['author', 'org'], 'users', ['number', 'tenant_id'])],
    }),
    table('members', 'org, user_no, group_no', {
      key: ['org', 'user_no', 'group_no'],
      references: [
        of(['org', 'user_no'], 'users', ['tenant_id', 'number']),
        of(['org', 'group_no'], 'groups', ['tenant_id', 'number']),
      ],
    }),
    table('groups', 'tenant_id, number, name', { key: ['tenant_id', 'number'] }),
    // References a part of the key alone, which names many.
    table('logs', 'id, tenant_id, text', { references: [of(['tenant_id'], 'users', ['tenant_id'])] }),
  ])
  expect(readMappingFile(file)).toMatchObject({ ok: true })
  expect(file.entities.user).toEqual({
    table: 'users',
    key: ['tenant_id', 'number'],
    fields: { include: ['tenant_id', 'number', 'email'] },
    related: {
      notes: { table: 'notes', on: { org: 'tenant_id', author: 'number' }, value: 'body' },
      groups: { table: 'members', on: { org: 'tenant_id', user_no: 'number' }, value: 'group_no' },
    },
  })
})
