import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { createOnCitus, dropOnCitus, nodesOf } from './citus.ts'
import { connect } from './connect.ts'
import { type Entry, type Reaction, startFaultyReceiver } from './faulty-receiver.ts'
import { dropSlotsOf } from './slot.ts'
import { urlOf } from './template.ts'
import { until } from './wait.ts'
import { runWalhook, startWalhook } from './walhook-process.ts'

const tables = `
  create table users (id integer primary key, version integer);
  create table companies (id integer primary key);`

/** So many webhooks of main that the next ones go to the cell. */
const inMain = 12

// biome-ignore lint/suspicious/noExplicitAny: answers of the API
type Response = any
type Sent = { readonly user: number; readonly version: number }

export type CitusTrial = Awaited<ReturnType<typeof openCitusTrial>>

/** A walhook on a database of a real Citus, with a cell `west` that it has placed, and a receiver that keeps an account. */
export async function openCitusTrial(url: string) {
  const name = `walhook_citus_${randomBytes(3).toString('hex')}`
  const database = { name, url: await createOnCitus(url, name) }
  const nodes = await nodesOf(url)
  const logs = await Promise.all(nodes.map(node => logOf(urlOf(node.url, name))))
  let react: (entry: { path: string; users: readonly number[] }, earlier: number) => Reaction = () => ({})
  const receiver = await startFaultyReceiver(({ path, body }, earlier) =>
    react({ path, users: eventsOf(body).map(({ user }) => user) }, earlier),
  )
  const psql = await connect(database.url)
  await psql.query(tables)
  const env = { WALHOOK_CELLS: 'citus', WALHOOK_RETRY_SCHEDULE: '1s,1s' }
  const migrated = await runWalhook(database, ['migrate'], env)
  if (migrated.code !== 0) throw new Error(migrated.stderr)
  const start = () => startWalhook(database, env)
  let walhook = start()
  await walhook.ready()
  const api = async (method: string, path: string, body?: unknown): Promise<Response> =>
    await walhook.api(method, path, body)
  const created = async (path: string, more: object) =>
    (await api('POST', '/api/webhooks', {
      ...{ name: path, url: receiver.url(path), triggers: ['user.new', 'user.update'] },
      ...more,
    })) as { id: number }
  for (let i = 0; i < inMain; i++) await created(`/main-${i}`, { is_active: false })
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runWalhook(database, args, env)
    if (code !== 0) throw new Error(`walhook ${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }
  await run('cell', 'add', 'west')
  await until(
    async () => (await (await fetch(`${await walhook.url()}/readyz`)).text()).includes('cell:west'),
    {
      what: 'the cell',
    },
  )

  let version = 0
  let lastUser = 0
  /** What each webhook should get, from its creation on. */
  const wanted = new Map<string, Sent[]>()
  const write = async (users: readonly number[]) => {
    version++
    await psql.query(
      `insert into users select unnest($1::int[]), $2 on conflict (id) do update set version = excluded.version`,
      [users, version],
    )
    for (const sent of wanted.values()) sent.push(...users.map(user => ({ user, version })))
  }
  const accepted = (path: string) =>
    receiver.account.filter(
      entry => entry.path === path && isAccepted(entry) && entry.body.action_type !== 'test',
    )
  const arrivedAt = (path: string) => accepted(path).flatMap(({ body }) => eventsOf(body))

  return {
    ...{ database, nodes, psql, receiver, api, run, write },
    get walhook() {
      return walhook
    },
    /** From now on the receiver does this. */
    reactTo(input: typeof react) {
      react = input
    },
    start,
    /** Goes on with another process; the first one is killed. */
    async killAndGoOn(other: typeof walhook) {
      walhook.kill('SIGKILL')
      await walhook.exited
      walhook = other
    },
    /** A webhook in the cell. */
    async webhook(path: string, more: object): Promise<number> {
      const { id } = await created(path, more)
      const { rows } = await psql.query('select cell from walhook.placements where webhook_id = $1', [id])
      if (rows[0]?.cell !== 'west') throw new Error(`the webhook ${id} is not in the cell`)
      wanted.set(path, [])
      return id
    },
    forget: (path: string) => wanted.delete(path),
    /** New users, each with so many versions. */
    async change(users: number, versions: number) {
      const ids = Array.from({ length: users }, () => ++lastUser)
      for (let i = 0; i < versions; i++) await write(ids)
    },
    arrivedAt,
    /** Waits until a webhook has accepted each version of each user once and in order. */
    async untilAll(path: string, isMeant: (user: number) => boolean = () => true) {
      const all = wanted.get(path)!.filter(({ user }) => isMeant(user))
      const those = () => arrivedAt(path).filter(({ user }) => isMeant(user))
      await until(() => those().length >= all.length, { what: `${all.length} events at ${path}` })
      const lines = (sent: readonly Sent[]) =>
        [...Map.groupBy(sent, ({ user }) => user)]
          .map(([user, its]) => `${user}: ${its.map(each => each.version)}`)
          .sort()
      const [found, due] = [lines(those()), lines(all)]
      if (JSON.stringify(found) !== JSON.stringify(due))
        throw new Error(`at ${path}: ${found.filter(line => !due.includes(line)).join('; ')}`)
    },
    /** The same where a request in flight may have been sent again: each at least once, and none for the first time after a newer one. */
    async untilEach(path: string) {
      const all = wanted.get(path)!.map(({ user, version }) => `${user} ${version}`)
      const firsts = () => [...new Set(arrivedAt(path).map(({ user, version }) => `${user} ${version}`))]
      await until(() => firsts().length >= all.length, { what: `${all.length} different events at ${path}` })
      const byUser = (lines: readonly string[]) =>
        lines.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
      if (JSON.stringify(byUser(firsts())) !== JSON.stringify(byUser(all)))
        throw new Error(`at ${path}: lost or out of order`)
    },
    /** Waits until a webhook has accepted the newest version of each user, and none after a newer one. */
    async untilNewest(path: string) {
      const newest = new Map(wanted.get(path)!.map(({ user, version }) => [user, version]))
      const got = () => new Map(arrivedAt(path).map(({ user, version }) => [user, version]))
      await until(() => [...newest].every(([user, version]) => got().get(user) === version), {
        what: `the newest versions at ${path}`,
      })
    },
    /** What the cell says of a webhook, by a condition on a table. */
    count: async (table: string, where: string) =>
      (await psql.query(`select count(*)::int as n from walhook_west.${table} where ${where}`)).rows[0]
        .n as number,
    /** The lines of an error in the logs of all nodes since the beginning, with their statements. */
    errors: async () => (await Promise.all(logs.map(log => log.errors(name)))).flat(),
    async [Symbol.asyncDispose]() {
      walhook.kill('SIGKILL')
      await walhook.exited
      await psql.end()
      await receiver[Symbol.asyncDispose]()
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await dropSlotsOf(client, name)
      await client.end()
      await dropOnCitus(url, name)
    },
  }
}

const isAccepted = ({ reaction: { status = 204, fault }, answeredAtMs }: Entry) =>
  answeredAtMs !== null && fault === undefined && status < 300

type Body = { readonly entity_id: number; readonly result?: { readonly version: number } }
const eventsOf = (body: Body | readonly Body[]): Sent[] =>
  (Array.isArray(body) ? body : [body]).map(({ entity_id: user, result }) => ({
    user,
    version: result?.version ?? 0,
  }))

/** The server's log from now on, which `logging_collector = on` makes readable. */
async function logOf(url: string) {
  await using psql = await connect(url)
  const fileOf = `pg_current_logfile() as file, (pg_stat_file(pg_current_logfile())).size::int as size`
  const { rows } = await psql.query(`select ${fileOf}`)
  const { file, size: from } = rows[0]
  if (file === null)
    throw new Error(`${new URL(url).host}: set logging_collector = on, and log_line_prefix with %d`)
  return {
    async errors(name: string): Promise<string[]> {
      await using psql = await connect(url)
      const { rows } = await psql.query(`select pg_read_file($1, $2, 1000000000) as text`, [file, from])
      // An error, with its details and its statement in the entries behind it.
      const entries = (rows[0].text as string).split(
        /^(?=\d{4}-\d\d-\d\d .*? (?:LOG|ERROR|FATAL|WARNING): )/m,
      )
      return entries.filter(entry => / ERROR: /.test(entry) && entry.includes(` ${name} `))
    },
  }
}
