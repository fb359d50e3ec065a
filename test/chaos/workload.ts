import { connect } from '../support/connect.ts'
import { randomFrom } from '../support/random.ts'
import type { Names } from './tables.ts'

/** Writers that go on whatever happens to tables and server, until they are paused or stopped. */
export type Workload = {
  /** Returns when every transaction that was open has ended. */
  pause(): Promise<void>
  resume(): void
  stop(): Promise<void>
  readonly transactions: () => number
}

const ids = 40

/**
 * One statement, or two that belong together. A member is only written where its user is, and goes with it, as a
 * foreign key would have it, which operations on tables would drop.
 */
function statement(random: () => number, names: Names): string {
  const id = () => Math.floor(random() * ids)
  const text = () => `'${Math.floor(random() * 1e9).toString(36)}'`
  const v = `nextval('chaos.v')`
  const { users, companies, orders, user_companies: members } = names
  const wide = () => `repeat(${text()}, ${random() < 0.5 ? 500 : 3})`
  const user = (of: number) =>
    `select ${users.key} from ${users.table} where ${users.key} = ${of} for key share`
  const move = (from: number, to: number) =>
    `update ${users.table} set v = ${v}, ${users.key} = ${to} where ${users.key} = ${from};
     update ${members.table} set v = ${v}, user_id = ${to} where user_id = ${from}`
  const remove = (of: number) =>
    `delete from ${users.table} where ${users.key} = ${of}; delete from ${members.table} where user_id = ${of}`
  const statements = [
    () =>
      `insert into ${users.table} (${users.key}, v, name, n, pin, story)
       values (${id()}, ${v}, ${text()}, ${id()}, 'PIN-' || ${text()}, ${wide()})`,
    () => `insert into ${users.table} (${users.key}, v) values (${id()}, ${v})`,
    () => `update ${users.table} set v = ${v}, name = ${text()} where ${users.key} = ${id()}`,
    () => `update ${users.table} set v = ${v} where ${users.key} between ${id()} and ${id()}`,
    () => `update ${users.table} set v = ${v}, story = ${wide()} where ${users.key} = ${id()}`,
    () => move(id(), id()),
    () => remove(id()),
    () =>
      `insert into ${companies.table} (${companies.key}, v, name, n) values (${id()}, ${v}, ${text()}, ${id()})`,
    () => `update ${companies.table} set v = ${v}, name = ${text()} where ${companies.key} = ${id()}`,
    () => `update ${companies.table} set v = ${v} where ${companies.key} between ${id()} and ${id()}`,
    () =>
      `update ${companies.table} set v = ${v}, ${companies.key} = ${id()} where ${companies.key} = ${id()}`,
    () => `delete from ${companies.table} where ${companies.key} = ${id()}`,
    () =>
      `insert into ${orders.table} (${orders.key}, v, name) values (${id()}, ${v}, ${text()}), (${id()}, ${v}, null)`,
    () => `update ${orders.table} set v = ${v}, name = ${text()} where ${orders.key} > ${id()}`,
    () => `update ${orders.table} set v = ${v}, ${orders.key} = ${id()} where ${orders.key} = ${id()}`,
    () => `delete from ${orders.table} where ${orders.key} = ${id()}`,
    () => `insert into ${members.table} select ${users.key}, ${id()}, ${v} from (${user(id())}) u`,
    () =>
      `update ${members.table} set v = ${v}, user_id = (${user(id())})
       where user_id = ${id()} and company_id < ${id()}`,
    () => `delete from ${members.table} where user_id = ${id()}`,
  ]
  return statements[Math.floor(random() * statements.length)]!()
}

/** Starts writers of small random transactions. What fails is rolled back: the journal has only what committed. */
export function startWorkload(options: {
  url: string
  names: Names
  seed: number
  writers: number
  restMs: number
}): Workload {
  let isOver = false
  let transactions = 0
  let gate = Promise.withResolvers<void>()
  gate.resolve()
  let isPaused = false
  const busy = new Set<number>()

  async function writeOne(client: Awaited<ReturnType<typeof connect>>, random: () => number) {
    await client.query('begin')
    for (let i = Math.ceil(random() * 4); i > 0; i--) {
      await client.query('savepoint s')
      const isRolledBack = await client.query(statement(random, options.names)).then(
        () => random() < 0.1,
        () => true,
      )
      await client.query(isRolledBack ? 'rollback to s' : 'release s')
    }
    await client.query(random() < 0.1 ? 'rollback' : 'commit')
    transactions++
  }

  async function write(writer: number): Promise<void> {
    const random = randomFrom(options.seed + writer)
    while (!isOver) {
      try {
        await using client = await connect(options.url)
        await client.query(`set statement_timeout = '8s'; set lock_timeout = '4s'`)
        while (!isOver) {
          if (isPaused) await gate.promise
          busy.add(writer)
          await writeOne(client, random).finally(() => busy.delete(writer))
          await new Promise(resolve => setTimeout(resolve, random() * options.restMs))
        }
      } catch {
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    }
  }

  const writing = Array.from({ length: options.writers }, (_, i) => write(i + 1))
  return {
    async pause() {
      isPaused = true
      gate = Promise.withResolvers()
      while (busy.size > 0) await new Promise(resolve => setTimeout(resolve, 5))
    },
    resume() {
      isPaused = false
      gate.resolve()
    },
    async stop() {
      isOver = true
      gate.resolve()
      await Promise.all(writing)
    },
    transactions: () => transactions,
  }
}
