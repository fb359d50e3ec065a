import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { connect } from './support/connect.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { startTestReceiver } from './support/test-receiver.ts'
import { until } from './support/wait.ts'
import { runWalhook, startWalhook } from './support/walhook-process.ts'

const docker = join(import.meta.dirname, '..', 'docker')

/** The statements that the guide shows, for a role and a database of this test: roles belong to the whole server. */
async function grantsFor(role: string, database: string): Promise<string[]> {
  const text = await readFile(join(docker, 'grants.sql'), 'utf8')
  return text
    .replaceAll(/^--.*\n/gm, '')
    .replaceAll('database app', `database ${database}`)
    .replaceAll(/(role|to) walhook\b/g, `$1 ${role}`)
    .match(/(?:\$\$.*?\$\$|[^;$])+;/gs)!
    .map(statement => statement.trim())
}

/** A database with the sample's tables and a role that has what `change` makes of the statements. */
async function open(change: (statement: string) => string | null = statement => statement) {
  const database = await createTestDatabase()
  const role = `role_of_${database.name}`.slice(0, 63)
  const admin = await connect(database.url)
  await admin.query(await readFile(join(docker, 'sample.sql'), 'utf8'))
  await admin.query('revoke usage on schema public from public')
  for (const statement of await grantsFor(role, database.name)) {
    const changed = change(statement)
    if (changed) await admin.query(changed)
  }
  const url = new URL(database.url)
  url.username = role
  url.password = 'walhook'
  return {
    admin,
    role,
    database: { ...database, url: url.href } satisfies TestDatabase,
    async [Symbol.asyncDispose]() {
      await admin.end()
      await database.drop()
      await using server = await connect(inject('postgres')!.url)
      await server.query(`drop role ${role}`)
    },
  }
}

test('with exactly these grants walhook captures, tests and delivers', async () => {
  await using at = await open()
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook(at.database)
  await walhook.ready()
  const { id } = await walhook.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url,
    triggers: ['user.update'],
  })
  await at.admin.query(`update users set company_role = 'Speaker'`)
  await until(() => receiver.arrivals.length === 1, { what: 'the update to arrive' })
  const attempt = await walhook.api('POST', `/api/webhooks/${id}/test`, { user_id: 1 })
  expect(attempt).toMatchObject({ outcome: 'delivered', action_type: 'test' })
  expect(await (await fetch(`${await walhook.url()}/metrics`)).text()).toMatch(
    /^walhook_wal_held_back_bytes \d+$/m,
  )
})

const without = (part: RegExp) => (statement: string) => (part.test(statement) ? null : statement)

test.each([
  [
    'replication',
    (statement: string) => statement.replace(' replication', ''),
    ['may not replicate', 'alter role "ROLE" replication;'],
  ],
  [
    'create on the database',
    (statement: string) => statement.replace('connect, create', 'connect'),
    ['permission denied for database', 'grant create on database'],
  ],
  [
    'usage on the schema',
    without(/^grant usage/),
    ['"public"."users"', 'may not read it', 'grant usage on schema "public" to "ROLE";'],
  ],
  [
    'select on the tables',
    without(/^grant select/),
    ['"public"."companies"', 'may not read it', 'grant select on "public"."companies" to "ROLE";'],
  ],
  [
    'the publication',
    without(/publication walhook/),
    [
      'publication walhook: missing',
      'does not own',
      'create publication walhook for table "public"."users", "public"."companies"',
    ],
  ],
])('without %s, serve exits with the missing right and the fix', async (_what, change, expected) => {
  await using at = await open(change)
  const { code, stdout, stderr } = await runWalhook(at.database, ['serve'])
  for (const part of expected) expect(stderr).toContain(part.replace('ROLE', at.role))
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(stdout).toBe('')
  expect(code).toBe(1)
})

test('the role may execute pg_log_standby_snapshot, if PostgreSQL has it', async () => {
  await using at = await open()
  const { rows } = await at.admin.query(
    `select has_function_privilege($1, oid, 'execute') as may from pg_proc where proname = 'pg_log_standby_snapshot'`,
    [at.role],
  )
  const { rows: version } = await at.admin.query(
    `select current_setting('server_version_num')::int as number`,
  )
  expect(rows).toEqual(version[0].number >= 160_000 ? [{ may: true }] : [])
})

test('the guide shows these statements, and README the indispensable ones', async () => {
  const [readme, guide] = await Promise.all(
    ['README.md', 'docs/guide/install.md'].map(file => readFile(join(docker, '..', file), 'utf8')),
  )
  const grants = await readFile(join(docker, 'grants.sql'), 'utf8')
  expect(guide).toContain(`\`\`\`sql\n${grants.slice(grants.indexOf('-- Reads changes')).trim()}\n\`\`\``)
  const always = grants.split('\n').filter(line => /^(create|grant)\b/.test(line))
  expect(readme).toContain(`\`\`\`sql\n${always.join('\n')}\n\`\`\``)
})
