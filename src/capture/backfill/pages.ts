import { randomUUID } from 'node:crypto'
import { type EntityMapping, tableKey } from '../../domain/mapping/mapping.ts'
import type { Mapped } from '../map/map.ts'
import type { Source } from '../source/source.ts'
import type { TransactionPart } from '../stream/batch.ts'
import { markPrefix } from '../stream/decode.ts'
import { createVisibility } from '../stream/visibility.ts'
import {
  openWindow,
  type PageContent,
  type PageEnd,
  type PageReading,
  type PageStep,
  type PageTask,
  type Window,
} from './backfill-window.ts'

/** The connection between storing the stream and reading pages. */
export type Pages = {
  /** Notes transactions, in the order of storing and before it. */
  observe(parts: readonly TransactionPart[], mapped: Mapped): void
  /** The page of this mark, or null. The caller settles it. */
  take(markId: string): { content: PageContent; settle: (end: PageEnd) => void } | null
}

/** The end of a page. `nothing`: it was empty. `again`: it must be read again, for this reason. */
export type PageOutcome<Page> =
  | { readonly outcome: 'stored' | 'nothing'; readonly page: Page }
  | { readonly outcome: 'ended' }
  | { readonly outcome: 'again'; readonly reason: string }

/** A page read in one snapshot, as `pg_current_snapshot()` writes it. */
type Read = { readonly snapshot: string }

type Reading<Page> = {
  readonly read: () => Promise<Page>
  /** Null: there is none. */
  readonly contentOf: (page: Page) => { reading: PageReading; step: PageStep } | null
}

const maxTruncated = 1_000
const tooMuchChanges = 'too much was changed while the page was read'

/**
 * Places pages of tables into the order of transactions, one at a time. It reads; the storing of the stream stores the pages,
 * each at its mark.
 *
 * A page is correct if its reading saw everything stored before its window. Others may see a transaction later than the
 * stream brings it (`visibility.ts`): then the page is read again.
 */
export function createPageMerger({ source }: { source: Source }) {
  const visibility = createVisibility(source.pool)
  const marks = createMarks(source)
  const truncations = createTruncations()
  let window: Window | null = null

  /** A failing page does not fail the stream: nothing of the page is stored. */
  function giveUp(error: unknown) {
    window?.settle({ failed: error })
    window = null
  }

  return {
    /** Reads a page and waits until it is stored. Throws its failure. */
    async merge<Page extends Read>(
      task: PageTask,
      entity: EntityMapping,
      how: Reading<Page>,
      signal: AbortSignal,
    ): Promise<PageOutcome<Page>> {
      await visibility.begin()
      const opened = openWindow(task, entity)
      window = opened
      try {
        const page = await how.read()
        const unseen = visibility.unseen(page.snapshot)
        if (unseen === null || unseen.length > 0)
          return { outcome: 'again', reason: reasonOfRereading(unseen) }
        const content = how.contentOf(page)
        if (!content) return { outcome: 'nothing', page }
        if (!opened.fill(content.reading, content.step)) return { outcome: 'again', reason: tooMuchChanges }
        await marks.set(opened.markId)
        const end = await endOf(opened, signal)
        if (typeof end === 'object') throw end.failed
        if (end === 'spoiled') return { outcome: 'again', reason: tooMuchChanges }
        return end === 'stored' ? { outcome: 'stored', page } : { outcome: 'ended' }
      } finally {
        window = null
      }
    },

    /** Resolves once the stream has delivered all present WAL. */
    async caughtUp(): Promise<void> {
      await (await marks.setPassMark()).passed
    },

    setPassMark: marks.setPassMark,

    hasTruncated: truncations.has,

    /** No reading for now. */
    rest: visibility.end,

    observe(parts: readonly TransactionPart[], mapped: Mapped): void {
      for (const { xid, changes } of parts) {
        if (changes.length > 0) visibility.note(xid)
      }
      truncations.observe(parts)
      try {
        window?.observe(mapped)
      } catch (error) {
        giveUp(error)
      }
    },

    take(markId: string): ReturnType<Pages['take']> {
      marks.passed(markId)
      if (window?.markId !== markId) return null
      const { settle } = window
      try {
        const content = window.content()
        if (content) return { content, settle }
        settle('spoiled')
      } catch (error) {
        giveUp(error)
      }
      return null
    },
  }
}

export type PageMerger = ReturnType<typeof createPageMerger>

/** Marks in the stream: a page belongs at its mark, and a mark without a page says that everything before it has come. */
function createMarks({ pool }: Source) {
  /** The marks without a page, and who waits for them. */
  const awaited = new Map<string, () => void>()

  /**
   * Writes the mark after everything that the reading has seen. In its own transaction, whose commit is flushed at once,
   * without waiting for standbys.
   */
  async function set(id: string): Promise<void> {
    await pool.query(
      `select set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, $1, $2)`,
      [markPrefix, id],
    )
  }

  return {
    set,

    /** Sets a mark without a page; `passed` resolves once the stream has delivered everything before it. */
    async setPassMark(): Promise<{ passed: Promise<void> }> {
      const id = randomUUID()
      const passed = Promise.withResolvers<void>()
      awaited.set(id, passed.resolve)
      await set(id)
      return { passed: passed.promise }
    },

    passed(id: string): void {
      awaited.get(id)?.()
      awaited.delete(id)
    },
  }
}

/** The last tables that the stream saw truncated. */
function createTruncations() {
  const truncated = new Set<string>()
  return {
    /** Whether the stream has delivered a TRUNCATE of this table by the transaction with this id (its lower 32 bits). */
    has: (table: string, xid: number): boolean => truncated.has(`${xid} ${table}`),

    observe(parts: readonly TransactionPart[]): void {
      for (const { xid, changes } of parts)
        for (const change of changes)
          if (change.kind === 'truncate')
            for (const table of change.relations) truncated.add(`${xid >>> 0} ${tableKey(table)}`)
      for (const old of truncated) if (truncated.size > maxTruncated) truncated.delete(old)
    },
  }
}

function reasonOfRereading(unseen: readonly bigint[] | null): string {
  if (unseen === null) return tooMuchChanges
  const shown = unseen.slice(0, 5).join(', ')
  return `transactions that were open or not yet visible when reading began must end first (id ${shown})`
}

/** The end of a page; `ended` if the stream ends first. */
async function endOf(window: Window, signal: AbortSignal): Promise<PageEnd> {
  const stop = () => window.settle('ended')
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  return await window.end.finally(() => signal.removeEventListener('abort', stop))
}
