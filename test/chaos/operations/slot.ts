import type { At, Operation } from '../operation.ts'

/** Ends whoever reads the slot, and does something to it before that one comes again. */
async function seize(at: At, statement: string): Promise<boolean> {
  for (let i = 0; i < 60; i++) {
    try {
      await at.sql(
        `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '${at.slot}' and active`,
        statement,
      )
      return true
    } catch (error) {
      // 55006: it is read again already. 42704: there is none.
      if ((error as { code?: string }).code === '42704') return false
      if ((error as { code?: string }).code !== '55006') throw error
    }
    await new Promise(resolve => setTimeout(resolve, 30))
  }
  return false
}

const drop = ({ slot }: At) => `select pg_drop_replication_slot('${slot}')`

/** What happens to the replication slot. */
export const slotOperations: readonly Operation[] = [
  {
    name: 'drop the slot',
    weight: 1,
    run: async at => ((await seize(at, drop(at))) ? { did: 'dropped' } : null),
  },
  {
    name: 'make the slot anew',
    weight: 2,
    async run(at) {
      const create = `select pg_create_logical_replication_slot('${at.slot}', 'pgoutput')`
      return (await seize(at, `${drop(at)}; ${create}`)) ? { did: 'dropped and created' } : null
    },
  },
  {
    name: 'advance the slot',
    weight: 2,
    async run(at) {
      const done = await seize(at, `select pg_replication_slot_advance('${at.slot}', pg_current_wal_lsn())`)
      return done ? { did: 'advanced to the end of the WAL' } : null
    },
  },
  {
    name: 'another program reads the slot',
    weight: 2,
    async run(at) {
      const read = `select count(*) from pg_logical_slot_get_binary_changes('${at.slot}', null, 200,
        'proto_version', '1', 'publication_names', 'walhook')`
      return (await seize(at, read)) ? { did: 'its next transactions were read and confirmed' } : null
    },
  },
  {
    name: 'an older copy of the slot takes its place',
    weight: 1,
    async run(at) {
      const copy = `${at.slot.slice(0, 58)}_copy`
      if (!(await seize(at, `select pg_copy_logical_replication_slot('${at.slot}', '${copy}')`))) return null
      await new Promise(resolve => setTimeout(resolve, at.random() * 3_000))
      const replaced = await seize(
        at,
        `${drop(at)}; select pg_copy_logical_replication_slot('${copy}', '${at.slot}')`,
      )
      await at.sql(`select pg_drop_replication_slot('${copy}')`)
      return replaced ? { did: 'replaced by a copy of some seconds before' } : null
    },
  },
]
