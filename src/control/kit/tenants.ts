import { webhookAlerts } from '../../domain/event/alert.ts'
import { type ActionType, bodySent, type OfTenant } from '../../domain/event/event.ts'
import { actionFor } from '../../domain/event/tenant.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from './control.ts'

/** What a route or a page says of tenants; without a word of it, whoever belongs to a tenant finds nothing there. */
export type TenantScope =
  /** It is about the webhook whose `id` is in its path: there is none but those of the caller's tenant. */
  | 'webhook'
  /** What it reads and writes is the caller's tenant's alone: it goes by `caller.tenant`. */
  | 'own'

/** Whether a caller may know of a thing that belongs to a tenant, or to nobody. */
export function mayKnow(
  { tenant }: Pick<Caller, 'tenant'>,
  thing: { readonly tenant: string | null },
): boolean {
  return tenant === null || thing.tenant === tenant
}

/** The webhook with an id, as far as the caller may know of it. */
export async function webhookFor(
  { outbox }: Pick<Control, 'outbox'>,
  caller: Pick<Caller, 'tenant'>,
  id: number,
): Promise<Webhook | null> {
  const webhook = await findWebhook(outbox, id)
  return webhook && mayKnow(caller, webhook) ? webhook : null
}

/** What there is for a caller: for one who belongs to a tenant, entities of it and no others. */
export function controlFor(control: Control, { tenant }: Pick<Caller, 'tenant'>): Control {
  if (tenant === null) return control
  const isOurs = (entityType: string) => control.tenantTypes.includes(entityType)
  // One by one: what is added to `Control` later is not there for tenants by itself.
  const { outbox, nowMs, sealKey, mostAttempts, slotName, backfillAs, readUntold, judgeTarget } = control
  const { sendTest, tryTest, testPlaces, paceOf, mostInFlight, earlyRetries, randomBytes } = control
  const { adminMac, publicUrl } = control
  const nothing = async () => {
    throw new Error('this is not for tenants')
  }
  return {
    ...{ outbox, nowMs, sealKey, mostAttempts, slotName, backfillAs, judgeTarget },
    ...{
      sendTest,
      tryTest,
      testPlaces,
      paceOf,
      mostInFlight,
      earlyRetries,
      randomBytes,
      adminMac,
      publicUrl,
    },
    ...(readUntold && { readUntold }),
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

/** Whose things a list is asked for: null for all. Who belongs to a tenant gets that one's, whichever they ask for. */
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
 * An event as the caller may know of it, or null. To its tenant, an entity that another one had comes, and one that another one has goes:
 * nothing of what it was or is there.
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
