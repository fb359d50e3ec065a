import { UsageError, wholeNumber } from '../kit/command.ts'
import type { Call, Called } from './call.ts'
import { checkPositionals, webhookId } from './options.ts'
import {
  attemptsTable,
  attemptTable,
  print,
  refused,
  type ShownAttempt,
  type ShownWebhook,
  webhooksTable,
  webhookTable,
} from './output.ts'
import { subcommand } from './subcommands.ts'

const json = { json: { type: 'boolean', default: false } } as const
type Page<T> = { readonly data: readonly T[]; readonly next_cursor: string | number | null }

/** `webhooks list`: all of them, or those of a tenant. */
export const list = subcommand(
  { ...json, tenant: { type: 'string' } },
  async ({ values, positionals }, call) => {
    checkPositionals(positionals, 0, 'list')
    if (values.tenant?.trim() === '') throw new UsageError('--tenant is empty')
    const of = values.tenant === undefined ? '' : `&${new URLSearchParams({ tenant: values.tenant })}`
    const get = call()
    if (!get) return 1
    const webhooks: ShownWebhook[] = []
    for (let cursor: string | number | null = 0; cursor !== null; ) {
      const page: Called<Page<ShownWebhook>> = await get(
        'GET',
        `/api/webhooks?limit=100&cursor=${cursor}${of}`,
      )
      if (!page.ok) return refused(page)
      webhooks.push(...page.value.data)
      cursor = page.value.next_cursor
    }
    print(webhooks, webhooksTable, values.json)
    return 0
  },
)

/** `webhooks show ID` */
export const show = subcommand(json, async ({ values, positionals }, call) => {
  const [text] = checkPositionals(positionals, 1, 'show')
  const id = webhookId(text, 'show')
  const called = await call()?.<ShownWebhook>('GET', `/api/webhooks/${id}`)
  if (!called) return 1
  if (!called.ok) return refused(called)
  print(called.value, webhookTable, values.json)
  return 0
})

/** `webhooks log ID`: the last requests; `webhooks log ID REQUEST`: one of them, with its bodies. */
export const log = subcommand(
  {
    ...json,
    limit: { type: 'string', default: '10' },
    failed: { type: 'boolean', default: false },
  },
  async ({ values, positionals }, call) => {
    const [text, attemptId] = checkPositionals(positionals, 2, 'log')
    const id = webhookId(text, 'log')
    if (attemptId !== undefined)
      return await showAttempt(`/api/webhooks/${id}/log/`, attemptId, values.json, call)
    const limit = wholeNumber(values.limit)
    if (!(limit >= 1 && limit <= 100))
      throw new UsageError(`--limit ${JSON.stringify(values.limit)} is not a number from 1 to 100`)
    const filter = values.failed ? '&outcome=refused,unreachable,blocked' : ''
    const called = await call()?.<Page<ShownAttempt>>(
      'GET',
      `/api/webhooks/${id}/log?limit=${limit}${filter}`,
    )
    if (!called) return 1
    if (!called.ok) return refused(called)
    print(called.value.data, attemptsTable, values.json)
    return 0
  },
)

async function showAttempt(
  path: string,
  id: string,
  wantsJson: boolean,
  call: () => Call | null,
): Promise<number> {
  if (!/^\d+$/.test(id))
    throw new UsageError(
      `log: ${JSON.stringify(id)} is not the ID of a request: walhook webhooks log ID shows them`,
    )
  const called = await call()?.<ShownAttempt>('GET', `${path}${id}`)
  if (!called) return 1
  if (!called.ok) return refused(called)
  print(called.value, attemptTable, wantsJson)
  return 0
}
