import { createSampleTables } from '../../playground/sample-app.ts'
import { connect } from './connect.ts'
import { createTestDatabase } from './database.ts'
import { startTestReceiver } from './test-receiver.ts'
import { until } from './wait.ts'
import { startWalhook } from './walhook-process.ts'

export { adminToken } from './walhook-process.ts'

/** A real walhook on a database with the sample application's users and companies, and a receiver: for tests in a browser. */
export async function startSampleSite(
  answer?: Parameters<typeof startTestReceiver>[0],
  env: Readonly<Record<string, string>> = {},
) {
  await using opened = new AsyncDisposableStack()
  const database = await createTestDatabase({ hasOutbox: true })
  await createSampleTables(database.url)
  const receiver = opened.use(await startTestReceiver(answer))
  const walhook = opened.use(startWalhook(database, { WALHOOK_ADMIN_USER: '1', ...env }))
  await walhook.ready()
  const url = await walhook.url()
  const resources = opened.move()
  return {
    url,
    walhook,
    receiver,
    async sql(statement: string): Promise<void> {
      await using psql = await connect(database.url)
      await psql.query(statement)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Waits until a webhook's log has so many attempts: a receiver has a request before its attempt is settled. */
export async function untilLogged(
  { walhook }: Pick<Awaited<ReturnType<typeof startSampleSite>>, 'walhook'>,
  webhookId: unknown,
  count: number,
): Promise<void> {
  const logged = async () => (await walhook.api('GET', `/api/webhooks/${webhookId}/log`)).data as unknown[]
  await until(async () => (await logged()).length >= count, { what: `${count} attempts in the log` })
}
