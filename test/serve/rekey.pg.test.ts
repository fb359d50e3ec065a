import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64')

test('walhook needs the old key beside the new one until rekey', {
  timeout: 180_000, // five processes, one after another
}, async () => {
  const database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  const token = 'a-token-for-this-test'
  {
    await using walhook = startWalhook(database, { WALHOOK_SECRET_KEY: key(1), WALHOOK_ADMIN_TOKEN: token })
    const made = await fetch(`${await walhook.url()}/api/webhooks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ name: 'CRM', url: 'https://8.8.8.8/', triggers: ['user.new'] }),
    })
    expect(made.status).toBe(201)
  }
  const refused = await runWalhook(database, ['serve'], { WALHOOK_SECRET_KEY: key(2) })
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/WALHOOK_SECRET_KEY: .*these webhooks: 1 "CRM"\. Fix: .*_OLD.*rekey/)

  const both = { WALHOOK_SECRET_KEY: key(2), WALHOOK_SECRET_KEY_OLD: key(1) }
  {
    await using walhook = startWalhook(database, both)
    await walhook.ready()
    expect(await runWalhook(database, ['rekey'], both)).toEqual({
      code: 0,
      stdout: 're-encrypted webhooks: 1, stored responses: 0\n',
      stderr: '',
    })
  }
  expect((await runWalhook(database, ['rekey'], { WALHOOK_SECRET_KEY: key(2) })).stdout).toContain(
    're-encrypted webhooks: 0',
  )
})

test('a wrong key is refused before the schema is migrated', async () => {
  const database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  const name = 'insert into walhook.webhooks (name, url, triggers, secret)'
  await psql.query(`${name} values ('CRM', 'https://8.8.8.8/', '{user.new}', 'v1:0123abcd:AAAA')`)
  // As an older version left it.
  const { rows } = await psql.query(
    'delete from walhook.migrations where name = (select max(name) from walhook.migrations) returning name',
  )
  await psql.query('alter table walhook.holders drop column timeline')
  for (const command of ['migrate', 'serve', 'token']) {
    const args = command === 'token' ? ['token', 'CI'] : [command]
    const refused = await runWalhook(database, args, { WALHOOK_SECRET_KEY: key(2) })
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/^WALHOOK_SECRET_KEY: .*these webhooks: 1 "CRM"/)
  }
  const pending = await psql.query('select from walhook.migrations where name = $1', [rows[0].name])
  expect(pending.rows).toEqual([])
})
