import type { Change } from '../../domain/capture/change.ts'
import type { Lsn } from '../../domain/value/lsn.ts'

/** A committed transaction's changes, or some of them. */
export type TransactionPart = {
  readonly commitLsn: Lsn
  readonly committedAt: Date
  /** The lower 32 bits of the transaction's id. */
  readonly xid: number
  /** The mark that this transaction was made to set, if it was. */
  readonly mark: string | null
  readonly changes: Change[]
}

/** What is stored in one go. */
export type Batch =
  /**
   * Whole transactions (of the first, perhaps only what chunks left over), and how far they reach. One with a mark is
   * the last of its batch, one with a TRUNCATE stands alone.
   */
  | {
      readonly kind: 'complete'
      readonly parts: readonly TransactionPart[]
      readonly confirmLsn: Lsn
      /** The last probe that came between or after these transactions. */
      readonly probe: string | null
    }
  /** A piece of a transaction too large to be held whole: more of it follows. */
  | { readonly kind: 'chunk'; readonly part: TransactionPart }
