import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const create =
  'create publication walhook for table companies, users with (publish_via_partition_root = true)'

test.each([
  ['stays away', ''],
  ['is created again after a change', create],
])(
  'a publication that is dropped and %s: its printed fix sends what happened meanwhile',
  async (_what, again) => {
    await using database = await createTestDatabase()
    await using psql = await connect(database.url)
    await psql.query(
      'create table companies (id integer primary key); create table users (id integer primary key, name text)',
    )
    await using walhook = startWalhook(database)
    await walhook.ready()
    await psql.query(`insert into users values (1, 'before'), (2, 'before')`)
    const events = async () => {
      const { rows } = await psql.query(
        `select action_type || ' ' || entity_id as event from walhook.events where entity_type = 'user' order by id`,
      )
      return rows.map(({ event }) => event)
    }
    await until(async () => (await events()).length === 2, { what: 'the events before' })
    await psql.query('drop publication walhook')
    await psql.query(`insert into users values (3, 'meanwhile'); delete from users where id = 1`)
    if (again) await psql.query(again)
    await psql.query(`insert into users values (4, 'later')`)

    const { mend, reason } = await walhook.logged('capture.state', { state: 'lost' })
    expect(String(reason)).toContain(again ? 'publication' : 'publication missing')
    expect(String(mend)).toBe('stop walhook, run "walhook resync", start it')
    walhook.kill('SIGTERM')
    await walhook.exited
    const plan = await runWalhook(database, ['resync'])
    expect(plan.stdout).toContain('walhook resync --yes')
    expect(await runWalhook(database, ['resync', '--yes'])).toMatchObject({ code: 0 })
    await using next = startWalhook(database)
    await next.logged('resync.ended', { entity_type: 'user' })
    await next.ready()
    await psql.query(`update users set name = 'after' where id = 2`)
    await until(async () => (await events()).at(-1) === 'update 2' && (await events()).length > 6, {
      what: 'the change after',
    })
    expect((await events()).slice(2).toSorted()).toEqual([
      'delete 1',
      'new 3',
      'new 4',
      'update 2',
      'update 2',
    ])
  },
)
