import { webhookAlerts } from '../../domain/event/alert.ts'
import { type ActionType, bodySent, type OfTenant } from '../../domain/event/event.ts'
import { actionFor } from '../../domain/event/tenant.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from './control.ts'

/** How a route or page treats tenants; without it, callers with a tenant get 404. */
export type TenantScope =
  /** It is about the webhook `id` of its path, and runs in its cell: only the caller's tenant's webhooks exist. */
  | 'webhook'
  /** It reads and writes the caller's tenant only, by `caller.tenant`. */
  | 'own'

/** Whether a caller may see an object of this tenant (null: of none). */
export function mayKnow(
  { tenant }: Pick<Caller, 'tenant'>,
  thing: { readonly tenant: string | null },
): boolean {
  return tenant === null || thing.tenant === tenant
}

export async function webhookFor(
  { outbox }: Pick<Control, 'outbox'>,
  caller: Pick<Caller, 'tenant'>,
  id: number,
): Promise<Webhook | null> {
  const webhook = await findWebhook(outbox, id)
  return webhook && mayKnow(caller, webhook) ? webhook : null
}

/** The `Control` of a caller: for one with a tenant, only that tenant's entities. */
export function controlFor(control: Control, { tenant }: Pick<Caller, 'tenant'>): Control {
  if (tenant === null) return control
  const isOurs = (entityType: string) => control.tenantTypes.includes(entityType)
  // An explicit list: new parts of `Control` are hidden from tenants by default.
  const {
    outbox,
    cells,
    nowMs,
    sealKey,
    maxAttempts,
    slotName,
    backfillAs,
    readWithoutPrevious,
    checkTarget,
  } = control
  const { sendTest, tryTest, testLimiter, paceOf, maxInFlight, earlyRetries, randomBytes } = control
  const { adminMac, publicUrl, trustedDomains, mailProblems } = control
  const nothing = async () => {
    throw new Error('this is not for tenants')
  }
  return {
    ...{ outbox, cells, nowMs, sealKey, maxAttempts, slotName, backfillAs, checkTarget },
    ...{
      sendTest,
      tryTest,
      testLimiter,
      paceOf,
      maxInFlight,
      earlyRetries,
      randomBytes,
      adminMac,
      publicUrl,
      trustedDomains,
      mailProblems,
    },
    ...(readWithoutPrevious && { readWithoutPrevious }),
    entityTypes: control.entityTypes.filter(isOurs),
    tenantTypes: control.tenantTypes,
    labels: new Map([...control.labels].filter(([type]) => isOurs(type))),
    alerts: control.alerts.filter(alert => webhookAlerts.includes(alert)),
    readFields: async () => new Map([...(await control.readFields())].filter(([type]) => isOurs(type))),
    readShapes: async () => (await control.readShapes()).filter(({ entityType }) => isOurs(entityType)),
    async readEntity(entityType, key) {
      const entity = isOurs(entityType) ? await control.readEntity(entityType, key) : null
      return entity?.tenant === tenant ? entity : null
    },
    captureStatus: nothing,
    captureState: () => ({ state: 'not for tenants', reason: null, slotName: '' }),
  }
}

/** The tenant to list: null for all. Callers with a tenant always get their own. */
export function tenantAsked(
  { tenant }: Pick<Caller, 'tenant'>,
  asked: string | null | undefined,
): string | null {
  return tenant ?? asked ?? null
}

type Known = OfTenant & {
  readonly actionType: ActionType
  readonly changed: readonly string[] | null
  readonly omitted: readonly string[] | null
  readonly body?: string
  readonly tooLargeBytes?: number
  readonly previous?: string | null
}

/**
 * An event as the caller may see it, or null. For its tenant, an entity from another tenant is new, one that moves away is
 * deleted, and values elsewhere are hidden.
 */
export function eventFor<E extends Known>({ tenant }: Pick<Caller, 'tenant'>, event: E): E | null {
  const actionType = actionFor(tenant, event)
  if (actionType === null) return null
  if (actionType === event.actionType) return { ...event, ...(tenant !== null && { tenantBefore: null }) }
  const isGone = actionType === 'delete'
  const form = { asNew: !isGone, asDelete: isGone, withPrevious: false }
  return {
    ...event,
    ...{ actionType, tenant, tenantBefore: null, changed: null, omitted: isGone ? null : event.omitted },
    ...(event.body && { body: bodySent({ body: event.body, previous: null, omitted: null }, form) }),
    ...(event.previous !== undefined && { previous: null }),
    ...(isGone && event.tooLargeBytes !== undefined && { tooLargeBytes: undefined }),
  }
}
