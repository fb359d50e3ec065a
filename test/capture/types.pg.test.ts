import { afterEach, expect, test, vi } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { asFormatted, everyType, inGoldenForm, rowsOfEveryType, withBytes } from '../support/every-type.ts'
import { startCapture } from '../support/run-capture.ts'

afterEach(() => void vi.unstubAllEnvs())

test.each([
  ['UTC', 0],
  ['America/New_York', 300],
  ['Asia/Kolkata', -330],
])(
  'every type in every format matches the golden file, in the time zone %s of process and database',
  async (timeZone, minutesBehindUtc) => {
    vi.stubEnv('TZ', timeZone)
    expect(new Date('2019-11-05').getTimezoneOffset()).toBe(minutesBehindUtc)
    await using database = await createTestDatabase({ hasOutbox: true })
    await using psql = await connect(database.url)
    await psql.query(everyType)
    await psql.query(`alter database ${database.name} set timezone = '${timeZone}'`)
    await psql.query(`alter database ${database.name} set datestyle = 'German'`)
    await psql.query(`alter database ${database.name} set bytea_output = 'escape'`)
    await psql.query(`alter database ${database.name} set intervalstyle = 'iso_8601'`)
    await using usual = await connect(database.url)
    expect((await usual.query('show timezone')).rows).toEqual([{ TimeZone: timeZone }])
    await using capture = await startCapture(database, [...withBytes, ...asFormatted])
    await psql.query(`set lc_monetary = 'C'`)
    for (const row of rowsOfEveryType) await psql.query(`insert into users values (${row})`)
    // Read back, as far as the WAL leaves them out: the same texts again.
    await psql.query('alter table users alter words set storage external')
    await psql.query('update users set small = 7 where id = 3')
    await capture.caughtUp()
    await expect(await inGoldenForm(capture)).toMatchFileSnapshot('types.golden.txt')
    for (const line of await capture.events())
      expect(() => JSON.parse(line.slice(line.indexOf('{')))).not.toThrow()
  },
)
