import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createActivity } from '../../playground/activity.ts'
import { createSampleTables, sampleMapping } from '../../playground/sample-app.ts'
import { writeBody } from '../../src/domain/event/event.ts'
import { columnKind } from '../../src/domain/mapping/credentials.ts'
import { chooseFields, tableKey } from '../../src/domain/mapping/mapping.ts'
import { jsonWriter } from '../../src/domain/value/json-text.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'

/** The example of the webhook documentation. */
const example = JSON.parse(String.raw`
{    "entity_id": 1,    "entity_type": "user",    "action_type": "new",    "result": {        "id": 1,
"external_id": "1815",        "code": "CODE",        "external_qr_identifier": "thebarcode",
"checkin": "2019-11-05 07:56:15",        "name_first": "Guan",        "name_infix": null,
"name_last": "the Man",        "gender": "man",        "company_name": "Let's Get Digital",
"company_role": "Awesome person",        "normal_qr_code": "thebarcode",
"secure_qr_code": "https:\/\/evins.nl\/1\/bd0494941c\/tyiuW2S1OUv5c3ASL1qv%2E",
"aanmelder_survey_id": "93627",        "qr_link": "v2d5iy6g0m60tc",        "custom_fields": [],
"companies": [            5        ]    }}`)

let database: TestDatabase
let client: pg.Client
const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

beforeAll(async () => {
  database = await createTestDatabase()
  await createSampleTables(database.url)
  client = new pg.Client({ connectionString: database.url, types: asText })
  await client.connect()
})

afterAll(() => client.end())

/** Reads a row and its related rows as the mapping says, with values written by type. */
async function readUser(id: number) {
  const user = sampleMapping.find(entity => entity.entityType === 'user')!
  const write = (field: pg.FieldDef, text: string | null) =>
    text === null ? 'null' : jsonWriter(field.dataTypeID, () => undefined)(text)
  const own = await client.query(`select * from ${tableKey(user.table)} where id = $1`, [id])
  const chosen = chooseFields(
    user,
    own.fields.map(({ name, dataTypeID }) => ({ name, kind: columnKind(dataTypeID, () => undefined) })),
  )
  const members = own.fields
    .filter(({ name }) => chosen.fields.has(name))
    .map(field => `${JSON.stringify(chosen.fields.get(field.name))}:${write(field, own.rows[0][field.name])}`)
  for (const list of user.related) {
    const { fields, rows } = await client.query(
      `select ${list.columns.join(', ')} from ${tableKey(list.table)} where ${list.owner} = $1`,
      [id],
    )
    const items = rows.map(row =>
      list.plain
        ? write(fields[0]!, row[list.columns[0]!])
        : `{${fields.map(field => `${JSON.stringify(field.name)}:${write(field, row[field.name])}`)}}`,
    )
    members.push(`${JSON.stringify(list.field)}:[${items}]`)
  }
  return { resultJson: `{${members}}`, withheld: chosen.withheld.map(({ column }) => column) }
}

test('the documented user gives the documented body', async () => {
  const { resultJson, withheld } = await readUser(1)
  const body = writeBody({ entityIdJson: '1', entityType: 'user', actionType: 'new', resultJson })
  expect(JSON.stringify(JSON.parse(body))).toBe(JSON.stringify(example))
  expect(withheld).toEqual(['password_hash'])
  const related = JSON.parse((await readUser(2)).resultJson).custom_fields
  expect(related).toEqual([{ name: 'Diet', value: 'vegetarian' }])
})

test('the columns of users are those of the documentation, then the password', async () => {
  const { fields } = await client.query('select * from public.users limit 0')
  const documented = Object.keys(example.result).filter(
    name => !['custom_fields', 'companies'].includes(name),
  )
  expect(fields.map(({ name }) => name)).toEqual([...documented, 'password_hash'])
})

test('a second start, or two at once, works on the same data', async () => {
  await using fresh = await createTestDatabase()
  await Promise.all([createSampleTables(fresh.url), createSampleTables(fresh.url)])
  const other = new pg.Client({ connectionString: fresh.url })
  await other.connect()
  try {
    await other.query(`delete from public.users where id = 7`)
    await other.query(`update public.users set company_role = 'Changed' where id = 1`)
    await createSampleTables(fresh.url)
    const { rows } = await other.query('select id, company_role from public.users order by id')
    expect(rows.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6])
    expect(rows[0].company_role).toBe('Changed')
    const inserted = await other.query(
      `insert into public.users (name_first, name_last) values ('A', 'B') returning id`,
    )
    expect(inserted.rows[0].id).toBe(8)
  } finally {
    await other.end()
  }
})

/** Chance that is the same in every run: https://en.wikipedia.org/wiki/Linear_congruential_generator */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return state / 2 ** 32
  }
}

const allKinds = [
  /registered$/,
  / checked in$/,
  / is now (?!called)/,
  / joined /,
  / left /,
  / answered .+: /,
  / was removed$/,
  / is now called /,
  / takes part$/,
  / no longer takes part$/,
]

/** Runs the activity at full speed until `isEnough`, then ends it. */
async function runActivity(isEnough: (sentences: readonly string[], errors: readonly unknown[]) => boolean) {
  const sentences: string[] = []
  const errors: unknown[] = []
  const ended = new AbortController()
  const finish = () => isEnough(sentences, errors) && ended.abort()
  const activity = createActivity(database.url, {
    random: seededRandom(42),
    minPauseMs: 0,
    maxPauseMs: 0,
    onDone: sentence => {
      sentences.push(sentence)
      finish()
    },
    onError: error => {
      errors.push(error)
      finish()
    },
  })
  await activity.run(ended.signal)
  return { sentences, errors }
}

const connections = `select pid from pg_stat_activity where datname = current_database() and application_name = 'sample application'`

test('the sample application makes all kinds of changes, keeps its tables small and the example row, and leaves no connection', async () => {
  const { sentences, errors } = await runActivity(soFar => soFar.length === 1_200)
  expect(errors).toEqual([])
  for (const kind of allKinds) expect(sentences).toContainEqual(expect.stringMatching(kind))
  const { rows } = await client.query(
    `select (select count(*) from public.users) as users, (select count(*) from public.companies) as companies,
            (select count(*) from public.users where id = 1) as example_user,
            (select count(*) from public.companies where id = 5) as example_company`,
  )
  expect(rows[0]).toMatchObject({ example_user: '1', example_company: '1' })
  expect(Number(rows[0].users)).toBeLessThanOrEqual(60)
  expect(Number(rows[0].companies)).toBeLessThanOrEqual(16)
  await until(async () => (await client.query(connections)).rows.length === 0, {
    what: 'its connection to be gone',
    // Less than an idle connection is kept by a pool that nobody ended.
    timeoutMs: 5_000,
  })
})

test('continues after a lost connection and after a failed query', async () => {
  let cut = false
  const { sentences, errors } = await runActivity((soFar, failed) => {
    if (soFar.length === 20 && !cut) {
      cut = true
      client.query(`select pg_terminate_backend(pid) from (${connections}) as theirs`).catch(() => {})
      client.query('alter table public.users rename to users_away').catch(() => {})
    }
    if (failed.length === 3) client.query('alter table public.users_away rename to users').catch(() => {})
    return failed.length >= 3 && soFar.length > 60
  })
  expect(errors.length).toBeGreaterThanOrEqual(3)
  expect(sentences.length).toBeGreaterThan(60)
})

test('waits before each turn, and an abort ends the wait', async () => {
  const ended = new AbortController()
  const activity = createActivity(database.url, { random: Math.random, onDone: () => {} })
  const running = activity.run(ended.signal)
  ended.abort()
  await running
})
