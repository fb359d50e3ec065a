import pg from 'pg'
import type { Service } from '../src/runtime/service.ts'
import { sleep } from '../src/runtime/sleep.ts'
import {
  cities,
  companyFirstWords,
  companySecondWords,
  companySuffixes,
  customFieldChoices,
  firstNames,
  lastNames,
  roles,
} from './sample-data.ts'

const maxUsers = 60
const usersToKeep = 6
const maxCompanies = 16
const companiesToKeep = 6
const maxCompaniesOfUser = 3

/** The visitor and company of the documentation's example: never removed. */
const exampleUser = 1
const exampleCompany = 5

type Named = { readonly id: number; readonly name: string }
type Pair = { readonly user_id: number; readonly company_id: number; name: string; company: string }

type Sample = {
  query<Row extends object = Named>(sql: string, values?: readonly unknown[]): Promise<Row[]>
  pick<T>(from: readonly T[]): T | undefined
  letters(length: number): string
}

/** Makes one change to the sample tables and describes it, or null if it is impossible. */
type IncidentReport = (sample: Sample) => Promise<string | null>

/**
 * The sample application: every two to four seconds a visitor registers, checks in, changes role, joins or leaves a company,
 * answers a question, or a company appears, goes or is renamed. The tables stay small. `onDone` gets each change in a
 * sentence; `onError` gets a database error, which skips one change.
 *
 * @param options.random gives numbers in [0, 1), the only randomness
 */
export function createActivity(
  url: string,
  options: {
    random: () => number
    onDone: (sentence: string) => void
    onError?: (error: unknown) => void
    minPauseMs?: number
    maxPauseMs?: number
  },
): Service {
  const { random, onDone, onError = () => {}, minPauseMs = 2_000, maxPauseMs = 4_000 } = options
  return {
    name: 'sample application',
    async run(signal) {
      const pool = new pg.Pool({
        connectionString: url,
        application_name: 'sample application',
        max: 1,
        connectionTimeoutMillis: 5_000,
        query_timeout: 5_000,
      })
      // The pool replaces an idle connection that the server ended.
      pool.on('error', () => {})
      const sample = sampleOf(pool, random)
      const turn = takeTurns(random)
      try {
        for (;;) {
          await sleep(minPauseMs + random() * (maxPauseMs - minPauseMs), signal)
          if (signal.aborted) return
          await turn(sample).then(onDone, onError)
        }
      } finally {
        await pool.end()
      }
    },
  }
}

function sampleOf(pool: pg.Pool, random: () => number): Sample {
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)]
  return {
    query: async (sql, values = []) => (await pool.query(sql, [...values])).rows,
    pick,
    letters: length => Array.from({ length }, () => pick([...'abcdefghjkmnpqrstuvwxyz23456789'])).join(''),
  }
}

/** Rounds of all possible changes, each in a new order. */
function takeTurns(random: () => number): (sample: Sample) => Promise<string> {
  let round: IncidentReport[] = []
  return async sample => {
    // Terminates: without anyone to change, somebody can register.
    for (;;) {
      if (round.length === 0) round = [...turns]
      const [happening] = round.splice(Math.floor(random() * round.length), 1)
      const sentence = await happening!(sample)
      if (sentence !== null) return sentence
    }
  }
}

const fullName = `concat_ws(' ', name_first, name_infix, name_last)`

const registers: IncidentReport = async ({ query, pick, letters }) => {
  const [count] = await query<{ users: number }>('select count(*)::int as users from public.users')
  if (count!.users >= maxUsers) return null
  const company = pick(await query('select id, name from public.companies order by id'))
  const first = pick(firstNames)!
  const last = pick(lastNames)!
  const barcode = letters(10)
  const [user] = await query(
    `with registered as (
       insert into public.users (external_id, code, external_qr_identifier, name_first, name_infix, name_last,
         gender, company_name, company_role, normal_qr_code, secure_qr_code, aanmelder_survey_id, qr_link,
         password_hash)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $3, $10, '93627', $11, $12)
       returning id, ${fullName} as name
     ), employed as (
       insert into public.user_companies (user_id, company_id)
       select id, $13::integer from registered where $13 is not null
     )
     select name from registered`,
    [
      letters(6),
      letters(4).toUpperCase(),
      barcode,
      first.name,
      last.infix,
      last.last,
      first.gender,
      company?.name,
      pick(roles),
      `https://tickets.example/1/${barcode}`,
      letters(14),
      `sample-hash-${letters(20)}`,
      company?.id,
    ],
  )
  return company ? `${user!.name} of ${company.name} registered` : `${user!.name} registered`
}

const checksIn: IncidentReport = async ({ query, pick }) => {
  const user = pick(
    await query(`select id, ${fullName} as name from public.users where checkin is null order by id`),
  )
  if (!user) return null
  await query('update public.users set checkin = localtimestamp where id = $1', [user.id])
  return `${user.name} checked in`
}

const changesRole: IncidentReport = async ({ query, pick }) => {
  const user = pick(
    await query<Named & { company_role: string | null }>(
      `select id, ${fullName} as name, company_role from public.users order by id`,
    ),
  )
  if (!user) return null
  const role = pick(roles.filter(other => other !== user.company_role))
  await query('update public.users set company_role = $2 where id = $1', [user.id, role])
  return `${user.name} is now ${role}`
}

const joinsCompany: IncidentReport = async ({ query, pick }) => {
  const pair = pick(
    await query<Pair>(
      `select users.id as user_id, ${fullName} as name, companies.id as company_id, companies.name as company
       from public.users, public.companies
       where not exists (select from public.user_companies
                         where user_id = users.id and company_id = companies.id)
         and (select count(*) from public.user_companies where user_id = users.id) < $1
       order by users.id, companies.id`,
      [maxCompaniesOfUser],
    ),
  )
  if (!pair) return null
  await query('insert into public.user_companies (user_id, company_id) values ($1, $2)', [
    pair.user_id,
    pair.company_id,
  ])
  return `${pair.name} joined ${pair.company}`
}

const leavesCompany: IncidentReport = async ({ query, pick }) => {
  const pair = pick(
    await query<Pair>(
      `select user_id, company_id, ${fullName} as name, companies.name as company
       from public.user_companies
       join public.users on users.id = user_id
       join public.companies on companies.id = company_id
       order by user_id, company_id`,
    ),
  )
  if (!pair) return null
  await query('delete from public.user_companies where user_id = $1 and company_id = $2', [
    pair.user_id,
    pair.company_id,
  ])
  return `${pair.name} left ${pair.company}`
}

const answers: IncidentReport = async ({ query, pick }) => {
  const user = pick(await query(`select id, ${fullName} as name from public.users order by id`))
  if (!user) return null
  const { name, values } = pick(customFieldChoices)!
  const [before] = await query<{ value: string }>(
    'select value from public.user_custom_fields where user_id = $1 and name = $2',
    [user.id, name],
  )
  const value = pick(values.filter(other => other !== before?.value))
  await query(
    `insert into public.user_custom_fields (user_id, name, value) values ($1, $2, $3)
     on conflict (user_id, name) do update set value = excluded.value`,
    [user.id, name, value],
  )
  return `${user.name} answered ${name}: ${value}`
}

const isRemoved: IncidentReport = async ({ query, pick }) => {
  const users = await query(`select id, ${fullName} as name from public.users order by id`)
  const user = pick(users.filter(({ id }) => id !== exampleUser))
  if (!user || users.length <= usersToKeep) return null
  await query('delete from public.users where id = $1', [user.id])
  return `${user.name} was removed`
}

const isRenamed: IncidentReport = async ({ query, pick }) => {
  const company = pick(await query('select id, name from public.companies order by id'))
  if (!company) return null
  const suffix = companySuffixes.find(text => text !== '' && company.name.endsWith(text)) ?? ''
  const plain = company.name.slice(0, company.name.length - suffix.length)
  const name = plain + pick(companySuffixes.filter(other => other !== suffix))
  // One transaction that changes several entities, as in real applications.
  await query(
    `with renamed as (update public.companies set name = $2 where id = $1)
     update public.users set company_name = $2
     where company_name = $3 and id in (select user_id from public.user_companies where company_id = $1)`,
    [company.id, name, company.name],
  )
  return `${company.name} is now called ${name}`
}

const companyComes: IncidentReport = async ({ query, pick }) => {
  const companies = await query('select name from public.companies order by id')
  const name = `${pick(companyFirstWords)} ${pick(companySecondWords)}`
  if (companies.length >= maxCompanies || companies.some(other => other.name.startsWith(name))) return null
  const place = pick(cities)!
  await query('insert into public.companies (name, city, country) values ($1, $2, $3)', [
    name,
    place.city,
    place.country,
  ])
  return `${name} from ${place.city} takes part`
}

const companyGoes: IncidentReport = async ({ query, pick }) => {
  const companies = await query('select id, name from public.companies order by id')
  const company = pick(companies.filter(({ id }) => id !== exampleCompany))
  if (!company || companies.length <= companiesToKeep) return null
  await query('delete from public.companies where id = $1', [company.id])
  return `${company.name} no longer takes part`
}

const turns: readonly IncidentReport[] = [
  ...[registers, registers, checksIn, checksIn, checksIn, changesRole, changesRole],
  ...[joinsCompany, joinsCompany, leavesCompany, answers, answers, isRemoved],
  ...[isRenamed, companyComes, companyGoes],
]
