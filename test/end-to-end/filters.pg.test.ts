import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { type Arrival, startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

/** What a receiver knows that applies what it is told, by id. */
function knownOf(arrivals: readonly Arrival[]): Record<string, unknown> {
  const known: Record<string, unknown> = {}
  for (const { entityId, body } of arrivals) {
    const { action_type, result } = JSON.parse(body)
    if (action_type === 'delete') delete known[entityId]
    else known[entityId] = result
  }
  return known
}

const triggers = ['user.new', 'user.update', 'user.delete']

test('a filtering receiver ends with exactly the matching entities, through random writes and kills', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, company_id integer, gender text, n integer not null default 0);
    alter table users replica identity full;
    create table companies (id integer primary key, kind text)`)
  const seen = new Map<string, number>()
  let isFailing = 0
  // The older state after a newer one that was accepted would be seen by its number.
  const older: string[] = []
  await using receiver = await startTestReceiver(arrival => {
    if (isFailing > 0 && isFailing-- % 2 === 0) return 503
    const { entity_id, entity_type, result } = JSON.parse(arrival.body)
    const lane = `${arrival.messageId.split('_')[1]} ${entity_type} ${entity_id}`
    if (result?.n !== undefined) {
      if (result.n < (seen.get(lane) ?? -1)) older.push(`${lane}: ${arrival.body}`)
      seen.set(lane, result.n)
    }
    return 204
  })
  const env = { WALHOOK_RETRY_SCHEDULE: '1s,1s,1s,1s,1s,1s,1s,1s' }
  let walhook = startWalhook(database, env)
  await walhook.ready()
  const make = async (options: object) =>
    (await walhook.api('POST', '/api/webhooks', { name: 'x', url: receiver.url, triggers, ...options })).id
  const inFive = { filter: { 'user.company_id': 5, 'user.gender': ['man', null] }, filter_leaving: 'delete' }
  const five = await make({ ...inFive, filter_entering: 'new' })
  const latest = await make({ ...inFive, mode: 'latest' })
  // Its table tells nothing of the values before.
  const kinds = await make({
    triggers: ['company.new', 'company.update', 'company.delete'],
    ...{ filter: { 'company.kind': 'a' }, filter_leaving: 'delete' },
  })

  let random = 42
  const pick = (max: number) => {
    random = (random * 1103515245 + 12345) % 2147483648
    return Math.floor((random / 2147483648) * max)
  }
  let n = 0
  const write = async () => {
    const id = 1 + pick(12)
    const values = [id, pick(3) + 4, ['man', 'woman', null][pick(3)], ++n]
    const kind = ['a', 'b'][pick(2)]
    switch (pick(7)) {
      case 0:
        return await psql.query('delete from users where id = $1', [id])
      case 1:
        return await psql.query('delete from companies where id = $1', [id])
      case 2:
        return await psql.query(
          'insert into companies values ($1, $2) on conflict (id) do update set kind = excluded.kind',
          [id, kind],
        )
      default:
        return await psql.query(
          `insert into users values ($1, $2, $3, $4)
           on conflict (id) do update set company_id = excluded.company_id, gender = excluded.gender, n = excluded.n`,
          values,
        )
    }
  }
  try {
    for (let round = 0; round < 3; round++) {
      isFailing = 20
      for (let i = 0; i < 120; i++) await write()
      walhook.kill('SIGKILL')
      await walhook.exited
      for (let i = 0; i < 40; i++) await write()
      walhook = startWalhook(database, env)
      await walhook.ready()
    }
    for (let i = 0; i < 40; i++) await write()

    const of = (id: unknown) => receiver.arrivals.filter(a => a.messageId.startsWith(`msg_${id}_`))
    const isSettled = async () => {
      const { rows } = await psql.query(`
        select not exists (select from walhook.deliveries) and not exists (
          select from (select settled_up_to from walhook.shares union all select settled_up_to from walhook.streams) p
          where settled_up_to < (select max(id) from walhook.events)
        ) as yes`)
      return rows[0].yes
    }
    const rowsOf = async (from: string) => {
      const { rows } = await psql.query(`select to_jsonb(t) as row from ${from} t`)
      return Object.fromEntries(rows.map(({ row }) => [row.id, row]))
    }
    const matching = await rowsOf(
      `(select * from users where company_id = 5 and (gender = 'man' or gender is null))`,
    )
    await until(
      async () => {
        for (const id of [five, latest]) expect(knownOf(of(id))).toEqual(matching)
        expect(knownOf(of(kinds))).toEqual(await rowsOf(`(select * from companies where kind = 'a')`))
        return await isSettled()
      },
      { what: 'receivers to know what matches', timeoutMs: 60_000 },
    )
    expect(older).toEqual([])
    // Nothing of anybody else was sent, and both forms were.
    for (const id of [five, latest])
      for (const { body } of of(id)) {
        const { result } = JSON.parse(body)
        if (result) expect([result.company_id, result.gender === 'woman']).toEqual([5, false])
      }
    expect(new Set(of(five).map(({ actionType }) => actionType))).toEqual(
      new Set(['new', 'update', 'delete']),
    )
  } finally {
    walhook.kill('SIGKILL')
    await walhook.exited
  }
}, 180_000)

test('a filtered event is equal as a single event, in batches, in the log, in a resend and in a replay', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, company_id integer);
    alter table users replica identity full;
    create table companies (id integer primary key)`)
  const bodies = new Map<string, string[]>()
  const { createServer } = await import('node:http')
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const path = request.url!
    const events = [JSON.parse(body)].flat().map(event => JSON.stringify(event))
    bodies.set(path, [...(bodies.get(path) ?? []), ...events])
    response.writeHead(204).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  await using walhook = startWalhook(database)
  try {
    await walhook.ready()
    const make = async (path: string, options: object) =>
      (
        await walhook.api('POST', '/api/webhooks', {
          ...{ name: path, url: `${base}/${path}`, triggers, previous: true },
          ...{ filter: { 'user.company_id': 5 }, filter_entering: 'new', filter_leaving: 'delete' },
          ...options,
        })
      ).id
    const single = await make('single', {})
    const batch = await make('batch', { batch: { max_events: 10, max_wait_ms: 0 } })
    for (const company of [4, 5, 5, 6]) {
      await psql.query(
        `insert into users values (1, $1) on conflict (id) do update set company_id = excluded.company_id`,
        [company],
      )
    }
    await psql.query('insert into users values (2, 5)')
    await psql.query('update users set company_id = 7 where id = 2')
    const event = (id: number, action: string, company?: number) =>
      JSON.stringify({
        ...{ entity_id: id, entity_type: 'user', action_type: action },
        ...(company !== undefined && { result: { id, company_id: company } }),
      })
    const one = [event(1, 'new', 5), event(1, 'delete')]
    const two = [event(2, 'new', 5), event(2, 'delete')]
    const expected = [...one, ...two].sort()
    for (const path of ['/single', '/batch'])
      await until(() => (bodies.get(path)?.length ?? 0) >= 4 && true, { what: path })
    for (const path of ['/single', '/batch']) expect(bodies.get(path)!.toSorted()).toEqual(expected)

    type Line = { event_id: string; action_type: string; request: { body: string } }
    const logOf = async (id: unknown) => (await walhook.api('GET', `/api/webhooks/${id}/log`)).data as Line[]
    const logged = async (id: unknown) =>
      (await logOf(id)).flatMap(({ request }) =>
        [JSON.parse(request.body)].flat().map(e => JSON.stringify(e)),
      )
    for (const id of [single, batch]) {
      await until(async () => (await logged(id)).length === 4, { what: 'the log' })
      expect((await logged(id)).sort()).toEqual(expected)
    }

    // By hand: in the same form again, and beyond the filter only where an admin says so.
    const events = (await walhook.api('GET', '/api/events?limit=10')).data as {
      id: string
      entity_id: string
      action_type: string
    }[]
    const first = events.find(({ entity_id, action_type }) => entity_id === '1' && action_type === 'new')!
    const from = new Date(Date.now() - 3_600_000).toISOString()
    const to = new Date(Date.now() + 60_000).toISOString()
    bodies.set('/single', [])
    await walhook.api('POST', `/api/webhooks/${single}/replay`, { from, to })
    await until(() => bodies.get('/single')!.length >= 4, { what: 'the replay' })
    expect(bodies.get('/single')!.toSorted()).toEqual(expected)
    // What is in flight is not resent.
    await until(async () => (await logged(single)).length === 8, { what: 'the replay in the log' })

    bodies.set('/single', [])
    const resend = `/api/webhooks/${single}/resend`
    const refused = walhook.api('POST', resend, { event_id: first.id })
    await expect(refused).rejects.toThrow(/The filter of webhook \d+ excludes event/)
    await walhook.api('POST', resend, { event_id: first.id, beyond_triggers: true })
    await until(() => bodies.get('/single')!.length >= 1, { what: 'the resend' })
    expect(bodies.get('/single')).toEqual([event(1, 'new', 4)])
    const audit = (await walhook.api('GET', '/api/audit')).data as { action: string }[]
    expect(audit.find(({ action }) => action === 'deliveries.resent')).toMatchObject({
      changes: { beyond_triggers: { to: true } },
    })
  } finally {
    server.close()
    server.closeAllConnections()
  }
}, 120_000)
