import type { Queryable } from '../source/source.ts'

/**
 * The characters of the bytes from 0x80 on, in a database of one byte per character. Null: the encoding does not define the byte, but
 * Postgres stores it.
 */
export type Charset = readonly (string | null)[]

const firstByte = 0x80
/** `untranslatable_character`: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const noCharacter = '22P05'

/**
 * Reads the characters of a database whose encoding has undefined bytes, such as 0x81 in WIN1252. One of them in a row would end the
 * stream at the same place for ever, because the server can't write it as UTF-8: such a database's stream comes unconverted. Null: the
 * server converts every text, or the encoding has several bytes for a character.
 * https://www.postgresql.org/docs/current/multibyte.html
 */
export async function readCharset({ pool }: { readonly pool: Queryable }): Promise<Charset | null> {
  const { rows } = await pool.query(
    `select pg_catalog.pg_encoding_max_length(pg_catalog.pg_char_to_encoding(e)) = 1 and e <> 'SQL_ASCII' as is_plain
     from pg_catalog.current_setting('server_encoding') e`,
  )
  if (rows[0].is_plain !== 't') return null
  const all = Array.from({ length: 0x100 - firstByte }, (_, i) => firstByte + i)
  if ((await characters(pool, all)) !== null) return null
  return await Promise.all(all.map(byte => characters(pool, [byte])))
}

/** Bytes of the database's encoding as text; null: one of them is undefined. */
async function characters(pool: Queryable, bytes: readonly number[]): Promise<string | null> {
  try {
    const { rows } = await pool.query(
      `select pg_catalog.encode(pg_catalog.convert($1::bytea, pg_catalog.current_setting('server_encoding'), 'UTF8'), 'hex') as utf8`,
      [`\\x${Buffer.from(bytes).toString('hex')}`],
    )
    return Buffer.from(rows[0].utf8, 'hex').toString()
  } catch (error) {
    if ((error as { code?: string }).code === noCharacter) return null
    throw error
  }
}

/** The text of `bytes`; null: one is undefined. */
export function textIn(charset: Charset, bytes: Buffer): string | null {
  let isDefined = true
  const text = bytes.toString('latin1').replace(/[\x80-\xff]/g, byte => {
    const character = charset[byte.charCodeAt(0) - firstByte]!
    isDefined &&= character !== null
    return character ?? ''
  })
  return isDefined ? text : null
}
