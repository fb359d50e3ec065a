import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { refusal } from '../support/refusal.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

test('an outbox that is not UTF-8 is refused, and the one that its fix creates is accepted', async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  const url = new URL(database.url)
  url.pathname = `/${database.name}_latin1`
  await psql.query(
    `create database ${database.name}_latin1 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0`,
  )
  const env = { OUTBOX_DATABASE_URL: url.href }
  const [line] = await refusal(database, env)
  expect(line).toMatch(/^OUTBOX_DATABASE_URL: a database with the encoding LATIN1, which cannot store/)
  expect(await runWalhook(database, ['migrate'], env)).toMatchObject({ code: 1, stderr: `${line}\n` })
  expect((await runWalhook(database, ['check'], env)).stdout).toContain(`error    ${line}`)

  const mend = line!.split('with UTF8: ')[1]!
  await psql.query(mend)
  url.pathname = `/${/create database (\S+)/.exec(mend)![1]}`
  expect(await runWalhook(database, ['migrate'], { OUTBOX_DATABASE_URL: url.href })).toMatchObject({
    code: 0,
  })
  await psql.query(`drop database ${url.pathname.slice(1)}; `)
  await psql.query(`drop database ${database.name}_latin1`)
})

test('a response that cannot be stored is logged without its body, and other deliveries are settled', async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook(database)
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })
  // As a value that the database would not take.
  await psql.query(`
    create function refuse() returns trigger language plpgsql as $$
    begin
      if new.entity_id = '7' and new.response_body not like '(walhook%' then
        raise exception 'not to be stored' using errcode = '22021';
      end if;
      return new;
    end $$;
    create trigger refuse before insert on walhook.attempts for each row execute function refuse()`)
  await psql.query('insert into users select generate_series(1, 40)')
  await until(async () => (await psql.query('select from walhook.attempts')).rowCount === 40, {
    what: 'forty attempts in the log',
  })
  await until(async () => (await psql.query('select from walhook.deliveries')).rowCount === 0, {
    what: 'everything to be settled',
  })
  expect(receiver.arrivals.length).toBe(40)
  const { rows } = await psql.query(
    `select entity_id, response_body from walhook.attempts where response_body <> ''`,
  )
  expect(rows).toEqual([{ entity_id: '7', response_body: '(walhook could not store this answer: 22021)' }])
  await walhook.logged('delivery.answer_not_stored', { webhook_id: 1 })
})
