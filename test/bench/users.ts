import type { Client } from 'pg'

/** The brief's user: 17 columns, about 600 bytes of JSON; `n` is its id. */
const columns: readonly (readonly [name: string, type: string, value: string])[] = [
  ['id', 'integer primary key', 'n'],
  ['external_id', 'text', 'n::text'],
  ['code', 'text', `'CODE' || n`],
  ['external_qr_identifier', 'text', `'barcode' || n`],
  ['checkin', 'timestamp', `'2019-11-05 07:56:15'`],
  ['name_first', 'text', `'Guan'`],
  ['name_infix', 'text', 'null'],
  ['name_last', 'text', `'the Man'`],
  ['gender', 'text', `'man'`],
  ['company_name', 'text', `'Let''s Get Digital'`],
  ['company_role', 'text', `'Awesome person'`],
  ['normal_qr_code', 'text', `'barcode' || n`],
  ['secure_qr_code', 'text', `'https://evins.nl/1/bd0494941c/tyiuW2S1OUv5c3ASL1qv%2E'`],
  ['aanmelder_survey_id', 'text', `'93627'`],
  ['qr_link', 'text', `'v2d5iy6g0m60tc'`],
  ['badge', 'text', `'blue'`],
  ['note', 'text', `repeat('n', 120)`],
]

/** The statement that makes an empty table of users under a name. */
export function createUsersLike(name: string): string {
  return `create table ${name} (${columns.map(([column, type]) => `${column} ${type}`).join(', ')});`
}

/** The brief's tables, empty. */
export const createTables = `create table companies (id integer primary key); ${createUsersLike('users')}`

const values = columns.map(([, , value]) => value).join(', ')

/** The statement that inserts the users from `from` to `to`, both SQL expressions. */
export function insertUsers(from: string, to: string, table = 'users'): string {
  return `insert into ${table} select ${values} from generate_series(${from}, ${to}) n`
}

/** The statement that inserts one user, whose id is an SQL expression: 12 µs of Postgres, and 57 by generate_series. */
export function insertUser(id: string): string {
  return `insert into users select ${values} from (values (${id})) v (n)`
}

/**
 * Writes users with the ids after `first` in transactions of `perTransaction` rows, one after the other in one
 * connection of the server itself, so that no client is the bound. Each is a real commit, whose flush nobody waits for
 * (`synchronous_commit = off`).
 */
export async function writeUsers(
  psql: Client,
  load: { first: number; rows: number; perTransaction: number },
): Promise<void> {
  const { first, rows, perTransaction } = load
  const insert =
    perTransaction === 1
      ? insertUser(`${first} + i + 1`)
      : insertUsers(
          `${first} + i * ${perTransaction} + 1`,
          `${first} + least((i + 1) * ${perTransaction}, ${rows})`,
        )
  await psql.query(`set synchronous_commit = off`)
  await psql.query(`do $$ begin
    for i in 0..${Math.ceil(rows / perTransaction) - 1} loop ${insert}; commit; end loop; end $$`)
}

/** A body as walhook sends it for such a user. */
export function exampleBody(id: number): string {
  const result = {
    id,
    external_id: String(id),
    code: `CODE${id}`,
    external_qr_identifier: `barcode${id}`,
    checkin: '2019-11-05 07:56:15',
    name_first: 'Guan',
    name_infix: null,
    name_last: 'the Man',
    gender: 'man',
    company_name: "Let's Get Digital",
    company_role: 'Awesome person',
    normal_qr_code: `barcode${id}`,
    secure_qr_code: 'https://evins.nl/1/bd0494941c/tyiuW2S1OUv5c3ASL1qv%2E',
    aanmelder_survey_id: '93627',
    qr_link: 'v2d5iy6g0m60tc',
    badge: 'blue',
    note: 'n'.repeat(120),
  }
  return JSON.stringify({ entity_id: id, entity_type: 'user', action_type: 'new', result })
}
