import { z } from 'zod'
import { getWebhook } from '../../control/webhooks/webhooks.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedPage } from '../kit/failed.ts'
import { idParam } from '../kit/ids.ts'
import { type Page, type PageCall, type PageResponse, page } from '../kit/page.ts'

type None = Record<never, never>

/** A call about one webhook, by the `id` in its path. */
export type WebhookCall<More extends z.ZodRawShape = None> = PageCall<
  { id: number } & z.output<z.ZodObject<More>>
>

/**
 * Defines a page of one webhook, which `handle` gets; an unknown one gets 404. Title, heading and breadcrumbs name it.
 * `more`: further params of the path.
 */
export function webhookPage<More extends z.ZodRawShape = None>(
  definition: Pick<Page, 'method' | 'path' | 'role'> & {
    readonly more?: More
    /** False: callers with a tenant get 404. */
    readonly forTenants?: false
    handle(call: WebhookCall<More>, webhook: Webhook): PageResponse | Promise<PageResponse>
  },
): Page {
  const { more, forTenants = true, handle, ...rest } = definition
  return page({
    ...rest,
    section: 'couplings',
    ...(forTenants ? { tenants: 'webhook' } : { cells: 'webhook' }),
    params: z.object({ id: idParam, ...more }),
    async handle(call) {
      const of = call as unknown as WebhookCall<More>
      const webhook = await getWebhook(of.control, of.params.id)
      if (!webhook.ok) return failedPage(of.t, webhook)
      const { id, name } = webhook.value
      const response = await handle(of, webhook.value)
      if (response.show !== 'page') return response
      const way = [{ text: name, href: `/couplings/${id}` }, ...(response.crumbs ?? [])]
      return { ...response, of: name, crumbs: way }
    },
  })
}
