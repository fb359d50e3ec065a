import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

test('previous values and update_fields work end to end', async () => {
  await using database = await createTestDatabase()
  await using receiver = await startTestReceiver()
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, email text, name text, exact numeric);
    alter table users replica identity full;
    create table companies (id integer primary key, name text)`)
  await using walhook = startWalhook(database)
  await walhook.ready()
  const triggers = ['user.new', 'user.update', 'company.update']
  const make = async (name: string, options: object) =>
    (await walhook.api('POST', '/api/webhooks', { name, url: receiver.url, triggers, ...options })).id
  const ids: Record<string, unknown> = {
    wide: await make('wide', { previous: true }),
    plain: await make('plain', {}),
    email: await make('email', { update_fields: ['user.email'] }),
  }
  await expect(make('wrong', { update_fields: ['user.mail'] })).rejects.toThrow('Did you mean user.email?')

  await psql.query(`insert into users values (1, 'a@b.c', 'Ann', 1.10)`)
  await psql.query(`update users set exact = 12345678901234567890.0, name = null`)
  await psql.query(`update users set name = name`)
  await psql.query(`update users set email = 'd@e.f'`)
  await psql.query(`insert into companies values (1, 'x')`)
  await psql.query(`update companies set name = 'y'`)

  const bodiesOf = (name: string) =>
    receiver.arrivals
      .filter(({ messageId }) => messageId.startsWith(`msg_${ids[name]}_`))
      .map(({ body }) => body)
  await until(() => bodiesOf('wide').length + bodiesOf('plain').length + bodiesOf('email').length >= 11, {
    what: 'every request',
  })
  const head = (action: string, type = 'user') =>
    `{"entity_id":1,"entity_type":"${type}","action_type":"${action}","result":`
  const first = `${head('new')}{"id":1,"email":"a@b.c","name":"Ann","exact":1.10}`
  const second = `${head('update')}{"id":1,"email":"a@b.c","name":null,"exact":12345678901234567890.0}`
  const third = `${head('update')}{"id":1,"email":"d@e.f","name":null,"exact":12345678901234567890.0}`
  const company = `${head('update', 'company')}{"id":1,"name":"y"}`
  expect(bodiesOf('plain').sort()).toEqual([company, first, second, third].map(body => `${body}}`).sort())
  expect(bodiesOf('wide').sort()).toEqual(
    [
      `${company}}`,
      `${first}}`,
      `${second},"previous":{"name":"Ann","exact":1.10}}`,
      `${third},"previous":{"email":"a@b.c"}}`,
    ].sort(),
  )
  expect(bodiesOf('email').sort()).toEqual([company, first, third].map(body => `${body}}`).sort())

  const log = async () =>
    (await walhook.api('GET', `/api/webhooks/${ids.wide}/log`)).data as { request: { body: string } }[]
  await until(async () => (await log()).length === 4, { what: 'the log of every request' })
  expect((await log()).map(({ request }) => request.body).sort()).toEqual(bodiesOf('wide').sort())
})
