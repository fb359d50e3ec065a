import { expect, test } from 'vitest'
import { joinKey } from '../../src/domain/mapping/entity-key.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { startCaptureProcess } from '../support/capture-process.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { randomFrom } from '../support/random.ts'
import { startCapture } from '../support/run-capture.ts'
import { slotIsFree } from '../support/slot.ts'
import { until } from '../support/wait.ts'

/** Every word of a mapping that decides what is told, in one. */
const read = readMappingFile({
  entities: {
    user: {
      table: 'users',
      key: ['tenant', 'code'],
      fields: { include: ['n'] },
      where: { realm: 'x' },
      deleted_when: { deleted_at: 'not null' },
      last: true,
      related: {
        groups: {
          table: 'groups',
          through: {
            table: 'members',
            owner: ['org', 'member'],
            to: 'group_id',
            where: { active: true },
          },
          where: { hidden: false },
          value: 'name',
        },
        settings: {
          table: 'settings',
          on: { org: 'tenant', member: 'code' },
          key: 'name',
          value: 'value',
          repeated: 'list',
          order_by: { place: 'desc' },
        },
      },
    },
  },
})

const seed = Number(process.env.WALHOOK_SEED ?? Math.floor(Math.random() * 2 ** 31))

type Known = { n: number; groups: string[] }

test(`where, deleted_when, last, through, repeated and a two-column key under random writes and kills (WALHOOK_SEED=${seed}): receivers end with the right state, and never get an older one`, {
  timeout: 180_000,
}, async () => {
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  await using database = await createTestDatabase({ hasOutbox: true })
  const random = randomFrom(seed)
  const some = (count: number) => 1 + Math.floor(random() * count)
  const pick = (...texts: string[]) => texts[some(texts.length) - 1]!
  await using psql = await connect(database.url)
  await psql.query(`
    create sequence n;
    create table users (tenant integer, code text, n integer default nextval('n'), realm text, deleted_at timestamptz, primary key (tenant, code));
    create table groups (id integer primary key, name text, hidden boolean not null default false);
    create table members (id serial primary key, org integer, member text, group_id integer, active boolean not null default true);
    create index on members (group_id);
    create table settings (id serial primary key, org integer, member text, name text, value integer, place integer);
    ${['users', 'groups', 'members', 'settings'].map(table => `alter table ${table} replica identity full`).join('; ')}`)
  const code = () => `'${pick('a', 'a,', '%2C', '')}'`
  const is = () => `tenant = ${some(2)} and code = ${code()}`
  const n = `n = nextval('n')`
  const statement = () =>
    pick(
      `insert into users (tenant, code, realm, deleted_at) values (${some(2)}, ${code()}, '${pick('x', 'x', 'y')}', ${pick('null', 'null', 'now()')})
       on conflict (tenant, code) do update set ${n}, realm = excluded.realm, deleted_at = excluded.deleted_at`,
      `update users set ${n} where ${is()}`,
      `update users set ${n}, deleted_at = ${pick('null', 'now()')} where tenant = ${some(2)}`,
      `update users set ${n}, realm = '${pick('x', 'y')}' where ${is()}`,
      `update users set ${n}, code = 'moved' where ${is()} and not exists (select from users u where u.code = 'moved')`,
      `delete from users where ${pick(is(), `code = 'moved'`)}`,
      `insert into members (org, member, group_id) values (${some(2)}, ${code()}, ${some(4)})`,
      `update members set active = not active where group_id = ${some(4)}`,
      `update members set group_id = ${some(4)} where org = ${some(2)} and member = ${code()}`,
      `delete from members where group_id = ${some(4)} and org = ${some(2)}`,
      `insert into groups select i, i || ':' || nextval('n') from (select ${some(4)} as i) i on conflict (id) do update set name = groups.id || ':' || nextval('n')`,
      `update groups set name = id || ':' || nextval('n') where id = ${some(4)}`,
      `update groups set hidden = not hidden where id = ${some(4)}`,
      `delete from groups where id = ${some(4)}`,
      `insert into settings (org, member, name, value, place) values (${some(2)}, ${code()}, '${pick('size', 'team')}', nextval('n'), ${some(3)})`,
      `update settings set place = ${some(3)} where name = '${pick('size', 'team')}' and org = ${some(2)}`,
      `delete from settings where org = ${some(2)} and place = ${some(3)}`,
    )
  const write = async (times: number) => {
    for (let i = 0; i < times; i++)
      await psql.query(`begin; ${Array.from({ length: some(3) }, statement).join('; ')}; commit`)
  }
  for (let round = 0; round < 6; round++) {
    const capture = startCaptureProcess(database, read.mapping)
    await capture.streaming
    await write(some(60))
    await capture.kill()
    await slotIsFree(psql, database.name.slice(0, 63))
    await write(some(20))
  }
  const { rows } = await psql.query(`
    select tenant::text, code, n,
      array(select g.name from members m join groups g on g.id = m.group_id
            where m.org = tenant and m.member = code and m.active and not g.hidden and g.name is not null order by g.id) as groups,
      (select coalesce(json_object_agg(s.name, s.list), '{}') from (
        select s.name, json_agg(s.value order by s.place desc nulls last, s.id) as list
        from settings s where s.org = tenant and s.member = code and s.value is not null group by s.name) s) as settings
    from users where realm = 'x' and deleted_at is null`)
  const expected = Object.fromEntries(rows.map(({ tenant, code, ...row }) => [joinKey([tenant, code]), row]))
  await using capture = await startCapture(database, read.mapping)
  await capture.caughtUp()
  const wrong: string[] = []
  /** What a receiver knows that applies what it is told. A row that is read may be newer than what tells it: a `delete` of before may follow. */
  const toldUntil = async () => {
    const knows: Record<string, Known> = {}
    wrong.length = 0
    for (const line of await capture.events()) {
      const [, idJson, action, json] = /^user (".*?") (\w+) ?(.*)$/s.exec(line)!
      const id: string = JSON.parse(idJson!)
      const before = knows[id]
      if (action === 'delete') {
        expect(Object.keys(JSON.parse(json!))).toEqual(['n'])
        delete knows[id]
        continue
      }
      const now: Known = JSON.parse(json!)
      if (before && isOlder(now, before)) wrong.push(`${line}: is older than ${JSON.stringify(before)}`)
      knows[id] = now
    }
    return knows
  }
  const same = async () => JSON.stringify(sorted(await toldUntil())) === JSON.stringify(sorted(expected))
  await until(same, { what: 'all to be told', timeoutMs: 20_000 }).catch(() => {})
  expect(sorted(await toldUntil())).toEqual(sorted(expected))
  expect(wrong).toEqual([])
})

/** Numbers only grow: that of a row, and that in the name of each group. */
function isOlder(now: Known, before: Known): boolean {
  const names = (known: Known) => new Map(known.groups.map(name => name.split(':') as [string, string]))
  const then = names(before)
  return (
    now.n < before.n ||
    [...names(now)].some(([group, number]) => Number(number) < Number(then.get(group) ?? 0))
  )
}

const sorted = (known: object) =>
  Object.entries(known)
    .map(([id, { settings, ...row }]) => [id, { ...row, settings: Object.entries(settings).sort() }] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
