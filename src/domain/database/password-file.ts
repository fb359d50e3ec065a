/** A connection, as a line of a password file names it. */
export type PasswordOwner = {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

const field = String.raw`((?:\\.|[^\\:])*)`
const shape = new RegExp(`^${field}:${field}:${field}:${field}:(.*)$`)
const plain = (text: string) => text.replaceAll(/\\(.)/g, '$1')

/**
 * The password in the first line of a password file that fits, or null. A socket is also `localhost`.
 * https://www.postgresql.org/docs/current/libpq-pgpass.html
 */
export function findPassword(text: string, { host, port, database, user }: PasswordOwner): string | null {
  const hosts = host.startsWith('/') ? [host, 'localhost'] : [host]
  const wanted = [hosts, [String(port)], [database], [user]]
  for (const line of text.split(/\r?\n/)) {
    const [matched, ...fields] = line.startsWith('#') ? [] : (shape.exec(line) ?? [])
    if (matched === undefined) continue
    const fits = (values: readonly string[], at: number) =>
      fields[at] === '*' || values.includes(plain(fields[at]!))
    if (wanted.every(fits)) return plain(fields[4]!) || null
  }
  return null
}
