/** Where a list over several cells continues: in each cell before this id. A cell that is missing begins with its newest. */
export type CellCursor = ReadonlyMap<string, bigint>

const main = 'main'
const form = /^(?=.)(\d{1,19})?(,?[a-z0-9][a-z0-9_-]{0,39}:\d{1,19})*$/

/** The cursor after `items`, a page that began at `before`. */
export function cursorOf(
  items: readonly { readonly id: bigint | number; readonly cell: string }[],
  before: CellCursor | null,
): CellCursor {
  return new Map([...(before ?? []), ...items.map(({ id, cell }) => [cell, BigInt(id)] as const)])
}

/** `12` for main alone, `12,b:5` with a cell `b`. */
export function writeCellCursor(cursor: CellCursor): string {
  const others = [...cursor].filter(([cell]) => cell !== main).map(([cell, id]) => `${cell}:${id}`)
  return [cursor.get(main) ?? [], others].flat().join(',')
}

/** Null: not a cursor. */
export function parseCellCursor(text: string): CellCursor | null {
  if (!form.test(text) || text.length > 4_000) return null
  const parts = text.split(',').map(part => {
    const [cell, id] = part.includes(':') ? (part.split(':') as [string, string]) : [main, part]
    return [cell, BigInt(id)] as const
  })
  return parts.some(([, id]) => id >= 2n ** 63n) ? null : new Map(parts)
}
