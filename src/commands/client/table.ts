/** The abilities of a terminal. */
type Terminal = {
  /** Characters per line; null: no terminal, and no table. */
  readonly columns: number | null
  readonly hasColours: boolean
}

export type Colour = 'green' | 'red' | 'yellow' | 'dim'
export type Cell = string | { readonly text: string; readonly colour: Colour }

/** https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters */
const codes: Record<Colour | 'bold', number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 }
const between = '  '
/** The minimum width of a column: cut texts must stay distinguishable. */
const narrowest = 8

/** Removes control sequences and invisible characters: names and answers come from others. Line breaks stay if `keepLines`. */
export function harmless(text: string, keepLines = false): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, sign =>
    keepLines && (sign === '\n' || sign === '\t') ? sign : '�',
  )
}

const textOf = (cell: Cell) => harmless(typeof cell === 'string' ? cell : cell.text)
/** Signs of East Asia and emoji take two columns, marks none. https://www.unicode.org/reports/tr11/ */
const wide =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60]/u
const columnsOf = (sign: string) => (wide.test(sign) ? 2 : /\p{M}/u.test(sign) ? 0 : 1)
const widthOf = (text: string) => [...text].reduce((sum, sign) => sum + columnsOf(sign), 0)

/**
 * A table for people: columns as wide as their content, the widest cut if a line would be too long. IDs and times stay whole:
 * a part of one names nothing.
 */
export function formatTable(
  heads: readonly string[],
  rows: readonly (readonly Cell[])[],
  { columns, hasColours }: Terminal,
): string {
  const widths = heads.map((head, i) =>
    Math.max(widthOf(head), ...rows.map(row => widthOf(textOf(row[i] ?? '')))),
  )
  const isCut = heads.map((_, i) => rows.some(row => !/^[\dTZ .:-]*$/.test(textOf(row[i] ?? ''))))
  const total = () => widths.reduce((sum, width) => sum + width + between.length, -between.length)
  while (total() > (columns ?? Number.POSITIVE_INFINITY)) {
    const max = Math.max(...widths.filter((_, i) => isCut[i]))
    if (max <= narrowest) break
    const widest = widths.findIndex((width, i) => isCut[i] && width === max)
    widths[widest]! -= Math.min(total() - columns!, max - narrowest)
  }
  const paint = (text: string, colour: Colour | 'bold' | null) =>
    hasColours && colour !== null && text !== '' ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
  const line = (cells: readonly Cell[], style: 'bold' | null) =>
    widths
      .map((width, i) => {
        const cell = cells[i] ?? ''
        const text = cut(textOf(cell), width)
        return paint(text, typeof cell === 'string' ? style : cell.colour) + ' '.repeat(width - widthOf(text))
      })
      .join(between)
      .trimEnd()
  const isHeaded = heads.some(head => head !== '')
  return [...(isHeaded ? [line(heads, 'bold')] : []), ...rows.map(row => line(row, null))].join('\n')
}

function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let start = ''
  for (const sign of text) {
    if (widthOf(start) + columnsOf(sign) >= width) break
    start += sign
  }
  return `${start}…`
}
