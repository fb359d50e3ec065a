import { mkdtemp, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const mapped = (fields: string, more = '') => `
version: 2
entities:
  user: { table: users, fields: { include: [${fields}] } }
  company: { table: companies }
${more}`

/** A mapping file that is replaced in one step, as an editor or a deployment does. */
async function openMappingFile(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'walhook-reload-'))
  const file = join(folder, 'walhook.yaml')
  const write = async (text: string) => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  await write(text)
  return { write, env: { WALHOOK_CONFIG: file } }
}

async function prepared() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, name text, city text);
    create table companies (id integer primary key);
    create table orders (id integer primary key)`)
  /** Writes until it is told to stop, one user for each transaction; some transactions have several. */
  const write = (from: number) => {
    let isOver = false
    const work = (async () => {
      let n = from
      for (; !isOver; n++) {
        const more = n % 5 === 0 ? `, (${n + 1_000_000}, 'b', 'y')` : ''
        await psql.query(`insert into users values (${n}, 'a', 'x')${more}`)
      }
      return n
    })()
    return async () => {
      isOver = true
      return await work
    }
  }
  const events = async () =>
    (
      await psql.query(
        `select entity_type, entity_id, action_type, commit_lsn::text as lsn, body::jsonb -> 'result' as result
         from walhook.events order by id`,
      )
    ).rows as { entity_type: string; entity_id: string; lsn: string; result: Record<string, unknown> }[]
  return {
    ...{ database, psql, write, events },
    async [Symbol.asyncDispose]() {
      await psql.end()
    },
  }
}

/** Each user once, and from one transaction on all with the fields of the new mapping, before it none. */
function expectOneSwitch(users: { lsn: string; result: Record<string, unknown> }[]) {
  const isNew = users.map(({ result }) => 'city' in result)
  const first = isNew.indexOf(true)
  expect(first).toBeGreaterThan(0)
  expect(isNew.slice(first).every(Boolean)).toBe(true)
  const [last, next] = [users[first - 1]!, users[first]!]
  expect(last.lsn).not.toBe(next.lsn)
}

test('SIGHUP reloads the mapping between two transactions under writes without loss or repetition', async () => {
  await using at = await prepared()
  const file = await openMappingFile(mapped('id, name'))
  await using walhook = startWalhook(at.database, file.env)
  await walhook.ready()
  const end = at.write(1)
  await until(async () => (await at.events()).length > 50, { what: 'events with the first mapping' })
  await file.write(mapped('id, name, city'))
  walhook.kill('SIGHUP')
  await walhook.logged('mapping.reloaded')
  await until(async () => (await at.events()).some(({ result }) => 'city' in result), {
    what: 'events with the second mapping',
  })
  const wrote = await end()
  const { rows } = await at.psql.query('select count(*)::int as count from users')
  await until(async () => (await at.events()).length >= rows[0].count, { what: 'all events' })
  const users = await at.events()
  expect(users.length).toBe(rows[0].count)
  expect(new Set(users.map(each => each.entity_id)).size).toBe(rows[0].count)
  expectOneSwitch(users)
  expect(wrote).toBeGreaterThan(50)
  expect(walhook.log.filter(({ msg }) => msg === 'mapping.reloaded')).toHaveLength(1)
  expect(walhook.log.filter(({ msg }) => /failed|gap|standing/.test(JSON.stringify(msg)))).toEqual([])
  // The same file again is nothing new.
  walhook.kill('SIGHUP')
  await walhook.logged('mapping.unchanged')
})

test('a SIGKILL right after SIGHUP loses nothing: the next start continues with the file', async () => {
  await using at = await prepared()
  const file = await openMappingFile(mapped('id, name'))
  {
    await using first = startWalhook(at.database, file.env)
    await first.ready()
  }
  const end = at.write(1)
  for (const fields of ['id, name, city', 'id, name']) {
    await using walhook = startWalhook(at.database, file.env)
    await walhook.ready()
    const before = (await at.events()).length
    await until(async () => (await at.events()).length > before + 20, { what: 'events' })
    await file.write(mapped(fields))
    walhook.kill('SIGHUP')
    if (fields === 'id, name') await walhook.logged('mapping.reloaded')
    walhook.kill('SIGKILL')
    await walhook.exited
  }
  await file.write(mapped('id, name, city'))
  await using _last = startWalhook(at.database, file.env)
  await until(async () => 'city' in ((await at.events()).at(-1)?.result ?? {}), { what: 'the last mapping' })
  await end()
  const { rows } = await at.psql.query('select array_agg(id::text) as ids from users')
  await until(async () => (await at.events()).length >= rows[0].ids.length, { what: 'all events' })
  const ids = (await at.events()).map(each => each.entity_id)
  expect(ids.toSorted()).toEqual(rows[0].ids.toSorted())
})

test('a wrong mapping is refused with all reasons, in log and status, and the previous one stays in effect', async () => {
  await using at = await prepared()
  const file = await openMappingFile(mapped('id, name'))
  await using walhook = startWalhook(at.database, file.env)
  await walhook.ready()
  const status = async () =>
    (await walhook.api('GET', '/api/status')).mapping as {
      refused: { reasons: { what: string; found: string; mend: string }[] } | null
    }
  expect((await status()).refused).toBeNull()

  await file.write('version: 2\nentitys: {}\nentities: { user: { tabel: users } }')
  walhook.kill('SIGHUP')
  const syntax = await walhook.logged('mapping.refused')
  expect(JSON.stringify(syntax.reasons)).toMatch(/entitys.*did you mean entities.*/)
  expect(JSON.stringify(syntax.reasons)).toMatch(/tabel.*did you mean table/)

  await file.write(mapped('id, nmae, citty', '  order: { table: orders }\n  thing: { table: things }'))
  walhook.kill('SIGHUP')
  await until(async () => (await status()).refused!.reasons.length >= 4, { what: 'the reasons' })
  const said = (await status()).refused!.reasons.map(({ what, mend }) => `${what}: ${mend}`)
  expect(said).toEqual([
    expect.stringContaining('table "public"."things"'),
    expect.stringMatching(/column nmae: .*did you mean name/),
    expect.stringMatching(/column citty: .*did you mean city/),
    expect.stringMatching(/alter publication walhook add table "public"."orders"/),
  ])
  await at.psql.query(`insert into users values (1, 'Ada', 'x')`)
  await until(async () => (await at.events()).length === 1, { what: 'the mapping before to go on' })
  expect((await at.events())[0]!.result).toEqual({ id: 1, name: 'Ada' })

  await at.psql.query('alter publication walhook add table orders')
  await file.write(mapped('id', '  order: { table: orders }'))
  walhook.kill('SIGHUP')
  await walhook.logged('mapping.reloaded')
  expect((await status()).refused).toBeNull()
  await at.psql.query('insert into orders values (7)')
  await until(async () => (await at.events()).length === 2, { what: 'the new entity' })
  expect((await at.events())[1]).toMatchObject({ entity_type: 'order', entity_id: '7' })
  const hook = { name: 'CRM', url: 'http://127.0.0.1:9', triggers: ['order.new'], is_active: false }
  await walhook.api('POST', '/api/webhooks', hook)
})
