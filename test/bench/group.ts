import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from './contenders/walhook.ts'
import { median, memoryMb, msText, rateText, table } from './figures.ts'
import { openStage } from './stage.ts'

/**
 * A group is renamed whose name each of its members shows: `node test/bench/group.ts`. How long it takes until each is told, how much memory
 * walhook takes, and how long a change of another user waits for its event meanwhile. BENCH_MEMBERS: 1,000 and 100,000 by default, each BENCH_ROUNDS (3) times.
 */
const sizes = (process.env.BENCH_MEMBERS ?? '1000,100000').split(',').map(Number)
const rounds = Number(process.env.BENCH_ROUNDS ?? 3)

const tables = (members: number) => `
  drop table if exists users, companies;
  create table groups (id integer primary key, name text);
  create table users (id integer primary key, name text);
  create table users_groups (user_id integer, group_id integer, primary key (user_id, group_id));
  create index on users_groups (group_id);
  insert into groups values (1, 'everybody');
  insert into users select i, 'user ' || i from generate_series(0, ${members}) i;
  insert into users_groups select i, 1 from generate_series(1, ${members}) i;
  analyze;`

const mapping = `
entities:
  user:
    table: users
    related:
      groups:
        table: groups
        through: { table: users_groups, owner: user_id, to: group_id }
        value: name
`

const folder = await mkdtemp(join(tmpdir(), 'walhook-bench-'))
const file = join(folder, 'mapping.yaml')
await writeFile(file, mapping)
await using stage = await openStage()
process.stdout.write(`${stage.description}\n\n`)
const lines: string[][] = []
for (const members of sizes) {
  const place = await stage.place({
    async prepare({ url }) {
      await using own = await connect(url)
      await own.query(tables(members))
    },
  })
  await using psql = await connect(place.url)
  await using walhook = await startWalhook(place, [], { WALHOOK_CONFIG: file })
  const atRestMb = memoryMb(walhook.pid).highest
  const [times, waits]: [number[], number[]] = [[], []]
  for (let round = 1; round <= rounds; round++) {
    const began = performance.now()
    await psql.query(`update groups set name = 'name ${round}' where id = 1`)
    const told = async () =>
      (await psql.query(`select count(*)::int as count from walhook.events where entity_id <> '0'`)).rows[0]
        .count
    let others = 0
    await until(
      async () => {
        waits.push(await otherChange(others++))
        return (await told()) >= members * round
      },
      { what: 'all members to be told', timeoutMs: 900_000, intervalMs: 200 },
    )
    times.push(performance.now() - began)
  }
  lines.push([
    members.toLocaleString('en'),
    msText(median(times)),
    rateText(members / (median(times) / 1_000)),
    `${msText(median(waits))}, ${msText(Math.max(...waits))}`,
    `${Math.round(atRestMb)} MB`,
    `${Math.round(memoryMb(walhook.pid).highest)} MB`,
  ])

  /** Until the event of a user outside of the group is stored. */
  async function otherChange(n: number): Promise<number> {
    const began = performance.now()
    const name = `other ${times.length} ${n}`
    await psql.query('update users set name = $1 where id = 0', [name])
    const isStored = async () =>
      (
        await psql.query(
          `select from walhook.events where entity_id = '0' and body::json #>> '{result,name}' = $1 limit 1`,
          [name],
        )
      ).rowCount === 1
    await until(isStored, { what: 'the event of the other user', intervalMs: 5 })
    return performance.now() - began
  }
}
await rm(folder, { recursive: true })
const head = [
  'members',
  'all told after',
  'rate',
  'another change waits (median, most)',
  'memory at rest',
  'at most',
]
process.stdout.write(`${table(head, lines)}\n`)
