import pg from 'pg'

/** The statements that this process sends to Postgres while `work` runs, without their values, sorted. */
export async function statementsOf<T>(work: () => Promise<T>): Promise<{ done: T; statements: string[] }> {
  const { prototype } = pg.Client
  const { query } = prototype
  const statements: string[] = []
  prototype.query = function (this: pg.Client, ...given: unknown[]) {
    const [what] = given as [string | { text?: string }]
    statements.push((typeof what === 'string' ? what : (what.text ?? '')).replaceAll(/\s+/g, ' ').trim())
    return (query as (...given: unknown[]) => unknown).apply(this, given)
  } as typeof query
  try {
    return { done: await work(), statements: statements.sort() }
  } finally {
    prototype.query = query
  }
}
