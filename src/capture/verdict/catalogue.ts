import type { Column } from '../../domain/capture/change.ts'
import type { KnownColumn } from '../../domain/capture/known-columns.ts'
import type { ValueType } from '../../domain/event-types/value-type.ts'
import type { ColumnKind } from '../../domain/mapping/credentials.ts'
import {
  type ChoosableColumn,
  chooseFields,
  type EntityMapping,
  type FieldChoice,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Format } from '../../domain/value/format.ts'
import type { JsonWriter } from '../../domain/value/json-text.ts'

/**
 * `isGenerated`: computed by Postgres, and by default not in the WAL. `isNotNull`: every row has a value; absent: may be
 * null.
 */
export type TableColumn = {
  readonly name: string
  readonly typeOid: number
  readonly typeName: string
  readonly isGenerated: boolean
  readonly isNotNull?: boolean
}

/** How Postgres computes some of the columns: on write (stored), or on read (virtual, from PostgreSQL 18). */
export type Generated = 'nothing' | 'stored' | 'virtual'

export type Table = {
  readonly name: TableName
  /** Its identity, whatever its name. */
  readonly oid: number
  /** `r` a table, `p` a partitioned one; no other kind can be published. */
  readonly kind: string
  readonly isPartition: boolean
  /** `d` primary key, `f` the whole row, `i` an index, `n` nothing. */
  readonly identity: string
  readonly columns: readonly TableColumn[]
  /** The names of all columns by number; null: dropped. */
  readonly attributes: readonly (string | null)[]
  readonly primaryKey: readonly string[]
  /** The columns that the WAL contains of a row before UPDATE or DELETE. None: both fail once it is published. */
  readonly identityColumns: readonly string[]
  readonly generated: Generated
  readonly generatedInIdentity: Generated
  /** Whether it is in the WAL at all. */
  readonly isLogged: boolean
  /** Columns that are unique alone. */
  readonly uniqueColumns: readonly string[]
  /** The columns of each multi-column unique index. */
  readonly uniqueIndexes?: readonly (readonly string[])[]
  /** The first columns of complete indexes. */
  readonly indexedColumns: readonly string[]
  /** The partitions with rows, each with its own identity. */
  readonly leaves: readonly {
    readonly name: TableName
    readonly identity: string
    readonly hasIdentity: boolean
    readonly generatedInIdentity: Generated
    readonly isLogged: boolean
  }[]
  /**
   * The partition key, and whether the table has a primary key, which later partitions inherit. They inherit nothing else of
   * a replica identity.
   */
  readonly partitionedBy: readonly string[]
  readonly partitionsGetKey: boolean
  /** The foreign keys. */
  readonly references: readonly Reference[]
  /** Whether other tables inherit from it, except as partitions. */
  readonly hasHeirs: boolean
  /** The average size of its rows, with out-of-line values; null: unknown. */
  readonly rowBytes: number | null
  readonly isReadable: boolean
  readonly isOwned: boolean
  readonly owner: string
  /** Whether row level security applies to this role: then Postgres raises an error instead of hiding rows. */
  readonly hidesRows: boolean
  /** Whether it applies to the owner too. */
  readonly isForced: boolean
}

/** A foreign key: `columns` refer to `referenced` of `table`. */
type Reference = {
  readonly columns: readonly string[]
  readonly table: TableName
  readonly referenced: readonly string[]
}

/** The source's tables and types. */
export type Catalogue = {
  readonly tables: ReadonlyMap<string, Table>
  /** Tables that the mapping may have meant, if one of its own is missing; otherwise empty. */
  readonly otherTables: readonly TableName[]
  /** A format that does not fit the type, as after a change of the type, is ignored. */
  writerOf(typeOid: number, format?: Format): JsonWriter
  hasFormat(typeOid: number, format: Format): boolean
  isInteger(typeOid: number): boolean
  kindOf(typeOid: number): ColumnKind
  /** The type of what `writerOf` writes. */
  valueTypeOf?(typeOid: number, format?: Format): ValueType
  /** The present OID of a column's type, which may have been dropped and created again. */
  typeToday?(column: Pick<Column, 'typeOid' | 'typeName'>): number
  /** True for SQL_ASCII: texts may be invalid UTF-8. */
  readonly hasAnyBytes?: boolean
  /** The labels of an enum, in order; null for other types. */
  labelsOf?(typeOid: number): readonly string[] | null
  /** The base type of a domain; for other types the type itself. */
  baseTypeOf(typeOid: number): number
  /** Present and past names of captured tables' columns. */
  readonly known?: readonly KnownColumn[]
}

/** Whether the WAL has complete rows before each UPDATE and DELETE, also in every partition. */
export function givesPrevious(table: Table): boolean {
  return table.identity === 'f' && table.leaves.every(({ identity }) => identity === 'f')
}

/** The columns of a table or a relation, as `chooseFields` takes them. */
export function choosable(
  { kindOf }: Pick<Catalogue, 'kindOf'>,
  columns: readonly { readonly name: string; readonly typeOid: number }[],
): ChoosableColumn[] {
  return columns.map(({ name, typeOid }) => ({ name, kind: kindOf(typeOid) }))
}

/** The sent and the withheld columns of an entity's table. */
export function chosenFields(
  catalogue: Pick<Catalogue, 'tables' | 'kindOf'>,
  entity: EntityMapping,
): FieldChoice {
  const columns = catalogue.tables.get(tableKey(entity.table))?.columns ?? []
  return chooseFields(entity, choosable(catalogue, columns))
}
