import type { Change } from '../../domain/capture/change.ts'
import type { Lsn } from '../../domain/value/lsn.ts'

/** Changes of a committed transaction, or a part of them. */
export type TransactionPart = {
  readonly commitLsn: Lsn
  readonly committedAt: Date
  /** The lower 32 bits of the transaction's id. */
  readonly xid: number
  /** The mark that this transaction set, if any. */
  readonly mark: string | null
  readonly changes: Change[]
}

/** The unit of storing. */
export type Batch =
  /**
   * Whole transactions (or the rest of one after chunks), and their end position. One with a mark ends its batch, one with a
   * TRUNCATE is alone.
   */
  | {
      readonly kind: 'complete'
      readonly parts: readonly TransactionPart[]
      readonly confirmLsn: Lsn
      /** The last probe between or after these transactions. */
      readonly probe: string | null
    }
  /** A chunk of a large transaction: more follows. */
  | { readonly kind: 'chunk'; readonly part: TransactionPart }
