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

/** What the storing of the stream and the reading of pages have to do with one another. */
export type Pages = {
  /** Takes note of transactions, in the order in which they are stored and before they are. */
  observe(parts: readonly TransactionPart[], mapped: Mapped): void
  /** The page whose mark this is, or null. Whoever takes it says what became of it. */
  take(markId: string): { content: PageContent; settle: (end: PageEnd) => void } | null
}

/** What became of a page. `nothing`: it had nothing to tell. `again`: it must be read again, for this reason. */
export type PageOutcome<Page> =
  | { readonly outcome: 'stored' | 'nothing'; readonly page: Page }
  | { readonly outcome: 'ended' }
  | { readonly outcome: 'again'; readonly reason: string }

/** A page that was read in one snapshot, by its `pg_current_snapshot()`. */
type Read = { readonly snapshot: string }

const maxTruncated = 1_000
const tooMuchChanges = 'too much was changed while the page was read'

/**
 * Has pages of tables told in their place in the order of transactions, one at a time. It reads; whoever stores the
 * stream stores the pages, each at its mark.
 *
 * A page is right if everything that was stored before its window is seen by its reading. That the stream has brought a
 * transaction does not mean that others see it already (`visibility.ts`): then the page is read again.
 */
export function createPageTeller({ source }: { source: Source }) {
  const visibility = createVisibility(source.pool)
  let window: Window | null = null
  /** Marks that are no page's, and who waits for them. */
  const awaited = new Map<string, () => void>()
  const truncated = new Set<string>()

  /**
   * Writes the mark behind everything that the reading has seen. A transaction of its own, because its commit is
   * flushed at once, and not after the standbys have answered.
   */
  async function setMark(id: string): Promise<void> {
    await source.pool.query(
      `select set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, $1, $2)`,
      [markPrefix, id],
    )
  }

  /** Sets a mark that is no page's; `passed` resolves once the stream has brought everything that was in the WAL before it. */
  async function setPassMark(): Promise<{ passed: Promise<void> }> {
    const id = randomUUID()
    const passed = Promise.withResolvers<void>()
    awaited.set(id, passed.resolve)
    await setMark(id)
    return { passed: passed.promise }
  }

  /** A page that fails is no failure of the stream: the page ends, and nothing of it is stored. */
  function giveUp(error: unknown) {
    window?.settle({ failed: error })
    window = null
  }

  return {
    /** Reads a page and waits until it is stored. `contentOf` says what it tells; null: nothing. Throws what it failed by. */
    async tell<Page extends Read>(
      task: PageTask,
      entity: EntityMapping,
      how: {
        read: () => Promise<Page>
        contentOf: (page: Page) => { reading: PageReading; step: PageStep } | null
      },
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
        await setMark(opened.markId)
        const end = await endOf(opened, signal)
        if (typeof end === 'object') throw end.failed
        if (end === 'spoiled') return { outcome: 'again', reason: tooMuchChanges }
        return end === 'stored' ? { outcome: 'stored', page } : { outcome: 'ended' }
      } finally {
        window = null
      }
    },

    /** Resolves once the stream has brought everything that is in the WAL now. */
    async caughtUp(): Promise<void> {
      await (await setPassMark()).passed
    },

    setPassMark,

    /** Whether the stream has brought a TRUNCATE of this table by the transaction with this id (the lower 32 bits of it). */
    hasTruncated: (table: string, xid: number): boolean => truncated.has(`${xid} ${table}`),

    /** Nothing is to be read for now. */
    rest: visibility.end,

    observe(parts: readonly TransactionPart[], mapped: Mapped): void {
      for (const { xid, changes } of parts) {
        if (changes.length > 0) visibility.note(xid)
        for (const change of changes)
          if (change.kind === 'truncate')
            for (const table of change.relations) truncated.add(`${xid >>> 0} ${tableKey(table)}`)
      }
      for (const old of truncated) if (truncated.size > maxTruncated) truncated.delete(old)
      try {
        window?.observe(mapped)
      } catch (error) {
        giveUp(error)
      }
    },

    take(markId: string): ReturnType<Pages['take']> {
      awaited.get(markId)?.()
      awaited.delete(markId)
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

export type PageTeller = ReturnType<typeof createPageTeller>

function reasonOfRereading(unseen: readonly bigint[] | null): string {
  if (unseen === null) return tooMuchChanges
  const shown = unseen.slice(0, 5).join(', ')
  return `transactions that others do not see yet, or that were open when the reading began, must end first (id ${shown})`
}

/** What becomes of a page; `ended` when the stream ends before. */
async function endOf(window: Window, signal: AbortSignal): Promise<PageEnd> {
  const stop = () => window.settle('ended')
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  return await window.end.finally(() => signal.removeEventListener('abort', stop))
}
