import type { Client } from 'pg'
import type { OwnServer } from '../support/own-database.ts'
import type { Fleet } from './fleet.ts'
import type { Names } from './tables.ts'

/** What an operation may lay hands on. */
export type At = {
  readonly server: OwnServer
  readonly database: { readonly url: string; readonly name: string }
  readonly fleet: Fleet
  readonly names: Names
  readonly slot: string
  readonly version: number
  readonly random: () => number
  /** Runs statements as the superuser, on a connection of their own. */
  sql(...statements: string[]): Promise<Record<string, unknown>[]>
  connect(): Promise<Client & AsyncDisposable>
}

export type Done = {
  /** What was done, for the log. */
  readonly did: string
  /** Ends what must not last: a lock that is held, a process that is stopped. Called before anything is checked. */
  readonly release?: () => Promise<unknown>
  /** How the people who did it would take it back. */
  readonly undo?: () => Promise<unknown>
  /** True of what is undone after it was checked, if it was not before: walhook goes on as it is. */
  readonly isTemporary?: boolean
}

/** Something that happens to walhook, its source or its server. Returns null where it can't happen just now. */
export type Operation = {
  readonly name: string
  readonly weight: number
  run(at: At): Promise<Done | null>
}

export const pick = <T>(random: () => number, items: readonly T[]): T =>
  items[Math.floor(random() * items.length)]!

/** An operation that is one of several statements, perhaps with the statement that takes it back. */
export function statements(
  name: string,
  weight: number,
  choose: (at: At) => readonly (readonly [sql: string, undo?: string])[],
  options: { isTemporary?: boolean } = {},
): Operation {
  return {
    name,
    weight,
    async run(at) {
      const [sql, undo] = pick(at.random, choose(at))
      await at.sql(sql)
      return { did: sql, ...(undo !== undefined && { undo: () => at.sql(undo) }), ...options }
    },
  }
}
