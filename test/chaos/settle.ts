import { setTimeout as sleep } from 'node:timers/promises'
import type { Saying } from './fleet.ts'
import { isRunnable, readMend, type Step } from './mend.ts'
import type { At, Done } from './operation.ts'
import { mappingOf, tables } from './tables.ts'

const patienceMs = 60_000
const steadyMs = 2_500
/** How long it may take until walhook has seen that its words were followed, or has started. */
const noticeMs = 20_000
const maxMends = 14
const maxRestarts = 5

export type Settled = { readonly mends: readonly string[]; readonly states: readonly string[] }

/** What must be told: the version of a row of each entity, and a change of related rows behind a place in the WAL. */
type Waiting = { readonly versions: Readonly<Record<string, string>>; readonly membersBehind: string }

/** Thrown where walhook neither goes on nor says how it could. */
export class Stuck extends Error {}

/**
 * Brings walhook to rest by nothing but what it says itself: waits until it is ready and has told of a change to each
 * table, and wherever it asks for something instead, does exactly that.
 *
 * @param undoes what the people who broke something could take back: done where the words leave the mend to them
 */
export async function settle(at: At, undoes: Done[], log: (line: object) => void): Promise<Settled> {
  const mends: string[] = []
  const states: string[] = []
  const asked: string[] = []
  let waiting = await writeLast(at, log)
  let followed = ''
  let restarts = 0
  for (let since = performance.now(); ; ) {
    const { saying, openGaps } = await steady(at, waiting, followed)
    if (saying.state !== 'streaming' || saying.code)
      states.push(`${saying.state} ${saying.code ?? ''}`.trim())
    if (saying.isReady && openGaps === 0 && waiting !== null && (await isTold(at, waiting))) break
    if (performance.now() - since > patienceMs * 3) throw stuck(at, saying, 'does not come to rest')
    const isBroken = waiting === null
    if (saying.state === 'gone' && readMend(saying.words).length === 0 && restarts++ < maxRestarts) {
      // Whoever runs it starts it again, as a supervisor does.
      log({ state: saying.state, words: saying.words, mended: 'started again' })
      await at.fleet.endAll('SIGKILL')
      continue
    }
    const isAtRest = saying.isReady && openGaps === 0
    if (isAtRest && !isBroken && !(await isMappingLost(at)))
      throw stuck(at, saying, 'is ready, and does not tell of a change')
    if (mends.length > maxMends) throw stuck(at, saying, 'asks for one mend after another')
    const mended =
      isAtRest || (isBroken && saying.isReady)
        ? await undoOne(undoes)
        : await follow(at, saying, undoes, mends)
    log({ state: saying.state, code: saying.code, words: saying.words, mended })
    if (mended === null) throw stuck(at, saying, 'names no mend that can be followed')
    // The same mend for another reason is none that did not help.
    asked.push(`${mended} ${saying.words.replaceAll(/[0-9A-F]+\/[0-9A-F]+/g, '')}`)
    if (asked.at(-4) === asked.at(-1)) throw stuck(at, saying, `asks again for what was done: ${mended}`)
    if (saying.state === 'gone') await at.fleet.endAll('SIGKILL')
    mends.push(mended)
    followed = saying.words
    waiting = await writeLast(at, log)
  }
  return { mends, states }
}

function stuck(at: At, saying: Saying, what: string): Stuck {
  return new Stuck(
    `walhook ${what}. State: ${saying.state} ${saying.code ?? '(no code)'}\n${saying.words}\n--- its last lines\n${at.fleet.lastLines().join('\n')}`,
  )
}

const lastKey = 1000
const entities = { user: 'users', company: 'companies', order: 'orders' } as const

/**
 * Whether walhook takes something of the mapping for dropped, which stops nothing else and which only `check` tells: a table
 * that was made anew and renamed before walhook has looked is the same to it. People take the rename back.
 */
async function isMappingLost(at: At): Promise<boolean> {
  const { stdout } = await at.fleet.command(['check', '--json'])
  return (JSON.parse(stdout) as { code: string }[]).some(({ code }) => code === 'mapping_lost')
}

/**
 * Writes a row to each table, so that there is something to be told; null where one can't be written. Nothing in the stream
 * says that a table has left the publication: what is waited for proves that walhook has seen that each is in it.
 */
async function writeLast(at: At, log: (line: object) => void): Promise<Waiting | null> {
  try {
    const versions: Record<string, string> = {}
    for (const [entity, name] of Object.entries(entities)) {
      const { table, key } = at.names[name]
      const [row] = await at.sql(
        `insert into ${table} (${key}, v) values (${lastKey}, nextval('chaos.v'))
         on conflict (${key}) do update set v = excluded.v returning v`,
      )
      versions[entity] = String(row!.v)
    }
    const [{ lsn }] = (await at.sql('select pg_current_wal_insert_lsn()::text as lsn')) as [{ lsn: string }]
    const { table } = at.names.user_companies
    await at.sql(
      `with gone as (delete from ${table} where user_id = ${lastKey})
       insert into ${table} (user_id, company_id, v) select ${lastKey}, v, v from nextval('chaos.v') as v`,
    )
    return { versions, membersBehind: lsn }
  } catch (error) {
    log({ notWritten: String(error) })
    return null
  }
}

/** Whether the last rows of all tables are told, related ones too. */
export async function isTold(at: Pick<At, 'sql'>, waiting: Waiting): Promise<boolean> {
  const rows = await at.sql(
    `select entity_type, max((body::jsonb #>> '{result,v}')::bigint) as v,
            bool_or(commit_lsn > '${waiting.membersBehind}') as is_behind
     from walhook.events where entity_id = '${lastKey}' group by 1`,
  )
  const told = new Map(rows.map(row => [String(row.entity_type), row]))
  const isThere = ([entity, v]: [string, string]) => BigInt(String(told.get(entity)?.v ?? 0)) >= BigInt(v)
  return Object.entries(waiting.versions).every(isThere) && told.get('user')?.is_behind === true
}

/** Waits until walhook is at rest, or has said the same red thing for a while. */
async function steady(
  at: At,
  waiting: Waiting | null,
  followed: string,
): Promise<{ saying: Saying; openGaps: number }> {
  const start = performance.now()
  let since = start
  let last = ''
  let askAt = start + noticeMs
  for (;;) {
    const saying = await at.fleet.say(await at.fleet.onlyOne())
    // Before the gaps: what was looked at by now has its gap by then.
    const untold = await untoldPartitions(at)
    const openGaps = await at
      .sql('select from walhook.gaps where resynced_at is null')
      .then(rows => rows.length)
      .catch(() => 0)
    const now = performance.now()
    const line = `${saying.isReady} ${saying.state} ${saying.code} ${openGaps}`
    if (line !== last) since = now
    last = line
    const isOnItsWay = ['starting', 'silent'].includes(saying.state) || saying.words === followed
    const isQuiet = now - since > (isOnItsWay ? noticeMs : steadyMs)
    if (saying.state === 'gone') return { saying, openGaps }
    if (saying.isReady && openGaps === 0) {
      if (untold === 0 && (waiting === null ? isQuiet : await isTold(at, waiting)))
        return { saying, openGaps }
      if (now > askAt && (await isMappingLost(at))) return { saying, openGaps }
      if (now > askAt) askAt = now + noticeMs
    } else if (isQuiet && !saying.isReady && (isNamed(saying) || openGaps > 0)) return { saying, openGaps }
    if (now - start > patienceMs) return { saying, openGaps }
    await sleep(150)
  }
}

/** Partitions that walhook has not looked at yet, or whose rows it is about to tell. */
async function untoldPartitions(at: At): Promise<number> {
  const rows = await at
    .sql(
      `select (select count(*) from pg_inherits i join pg_class c on c.oid = i.inhparent
               where c.relname like 'orders%' and c.relkind = 'p' and not exists (
                 select from walhook.captured, jsonb_each(facts -> 'tables') as t
                 where t.value #>> array['files', i.inhrelid::text]
                     = (select relfilenode::text from pg_class where oid = i.inhrelid)))
            + (select count(*) from walhook.resyncs where part_oid is not null and state in ('waiting', 'running')) as n`,
    )
    .catch(() => [{ n: 0 }])
  return Number(rows[0]!.n)
}

const isNamed = ({ state, code }: Saying) => ['blocked', 'lost', 'gap'].includes(state) || code !== null

/** Does what the words say. Returns what that was; null where there is nothing that could be done. */
async function follow(
  at: At,
  { state, words }: Pick<Saying, 'state' | 'words'>,
  undoes: Done[],
  mends: readonly string[],
): Promise<string | null> {
  const steps = readMend(words).filter(isRunnable)
  if (steps.length > 0) {
    const refused = await take(at, steps, mends.at(-1) === describe(steps))
    await findMovedBack(at)
    if (refused === null) return describe(steps)
    // A command that is refused says what it wants first; then it is asked for again.
    const before = await follow(at, { state, words: refused }, undoes, mends)
    if (before === null) throw new Stuck(`${describe(steps)} is refused with no mend: ${refused}`)
    return `${before}, before ${describe(steps)}`
  }
  if (/mapping|WALHOOK_CONFIG/.test(words) && (undoes.length === 0 || at.random() < 0.6)) {
    const [{ has }] = (await at.sql(
      `select exists (select from information_schema.columns where table_name like 'users%' and column_name = 'pin') as has`,
    )) as [{ has: boolean }]
    await at.fleet.setMapping(mappingOf(at.names, has))
    await at.fleet.endAll('SIGTERM')
    return 'the mapping was mended'
  }
  // Whoever is asked to wait does so: the next state says more.
  if (words.includes('wait until its state is')) return 'waited'
  return await undoOne(undoes)
}

/** A mend may have moved a table back to its usual name: whoever writes to it is told. */
async function findMovedBack(at: At): Promise<void> {
  for (const table of tables) {
    const usual = `public.${table}`
    const [row] = await at.sql(
      `select to_regclass('${at.names[table].table}') is null and to_regclass('${usual}') is not null as is_back`,
    )
    if (row!.is_back) at.names[table].table = usual
  }
}

async function undoOne(undoes: Done[]): Promise<string | null> {
  const done = undoes.pop()
  if (!done?.undo) return null
  await Promise.resolve(done.undo()).catch(() => {})
  return `taken back: ${done.did}`
}

const describe = (steps: readonly Step[]) =>
  steps.map(step => (step.kind === 'sql' ? step.sql : `walhook ${step.args.join(' ')}`)).join('; ')

/**
 * Takes the steps. A statement that fails is walhook's fault, unless it was taken before: then the next state tells.
 * Returns what a command says that refuses; null where none does.
 */
async function take(at: At, steps: readonly Step[], mayFail: boolean): Promise<string | null> {
  for (const step of steps) {
    if (step.kind === 'sql') {
      await at.sql(step.sql).catch(error => {
        if (!mayFail && !/already|does not exist/.test(error.message))
          throw new Stuck(`a mend of walhook's fails: ${step.sql}\n${error.message}`)
      })
      continue
    }
    const { code, stdout, stderr } = await at.fleet.command(step.args)
    if (code === 0) continue
    if (/in use|stop the walhook/.test(stderr)) await at.fleet.endAll('SIGTERM')
    else return `${stdout}${stderr}`
  }
  return null
}
