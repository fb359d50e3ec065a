import { alertExample } from '../../domain/alert/alert-body.ts'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import { batchBody } from '../../domain/delivery/shipment.ts'
import { isAlertTrigger, storedAlert } from '../../domain/event/alert.ts'
import { writeBody } from '../../domain/event/event.ts'
import { bodyExample, exampleKey } from '../../domain/event-types/event-schema.ts'
import { because } from '../../domain/shown/reason.ts'
import { changeHeaders, type HeaderChange, keepsHeaders } from '../../domain/webhook/custom-headers.ts'
import { nonceBytes } from '../../domain/webhook/seal.ts'
import {
  openHeaders,
  type Sealed,
  sealHeaders,
  sealIdentity,
  sealSecret,
} from '../../domain/webhook/webhook-secrets.ts'
import { transaction } from '../../outbox/database/database.ts'
import type { LoggedAttempt } from '../../outbox/reading/attempts.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { findSealed } from '../../outbox/records/secrets.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { forbidden, invalid, notFound, type Result, wrongField } from '../kit/result.ts'
import { newSecret } from './secrets.ts'
import { headerProblems, validateIdentity } from './validate-fields.ts'

const entityType = 'user'

/**
 * Sends a test to a webhook, active or not, with the data of the caller's user account, or of the account `userId`. Returns
 * the attempt, whatever its result.
 */
export async function testWebhook(
  control: Control,
  id: number,
  caller: Caller,
  userId: string | null,
): Promise<Result<LoggedAttempt>> {
  const webhook = await findWebhook(control.outbox, id)
  const sealed = await findSealed(control.outbox.pool, id)
  if (!webhook || !sealed) return notFound('webhook', id)
  const isOther = userId !== null && userId !== caller.userId
  if (isOther && caller.role !== 'admin' && !webhook.triggers.some(isOfUser))
    return forbidden(because('test.foreign_account', { webhookId: id }))

  const message = await testMessage(control, caller, userId, {
    isBatch: webhook.batch !== null,
    triggers: webhook.triggers,
    tenant: webhook.tenant,
  })
  if (!message.ok) return message
  const permit = control.testLimiter.acquire(caller, webhook.url)
  if (!permit.ok) return permit
  try {
    const target = { webhookId: id, url: webhook.url, sealed, traceparent: webhook.traceparent }
    return { ok: true, value: await control.sendTest(control.outbox, target, message.value) }
  } finally {
    permit.release()
  }
}

const isOfUser = (trigger: string) => trigger.startsWith(`${entityType}.`)

/** The unsaved settings of a test's destination. */
type Unsaved = {
  readonly url: string
  readonly headers: HeaderChange
  readonly isBatch: boolean
  readonly traceparent?: boolean
  /** If all are alerts, the test is an example alert. */
  readonly triggers?: readonly string[]
  readonly clientCertificate?: string | null | undefined
  readonly clientKey?: string | null | undefined
}

/**
 * Tests unsaved settings by the path of any delivery, and stores only that it was done. An existing webhook's test (`id`) has
 * its secret and headers, changed as by saving; a new one's is signed with an unknown secret.
 */
export async function tryWebhook(
  control: Control,
  caller: Caller,
  id: number | null,
  unsaved: Unsaved,
  userId: string | null,
): Promise<Result<Attempt>> {
  const verdict = await control.checkTarget(unsaved.url)
  if (!verdict.ok) return invalid(wrongField('/url', verdict.why))
  const sealed = await unsavedSecrets(control, caller, id, verdict.url.href, unsaved)
  if (!sealed.ok) return sealed
  const { tenant } = sealed.value
  const message = await testMessage(control, caller, userId, { ...unsaved, tenant })
  if (!message.ok) return message
  const permit = control.testLimiter.acquire(caller, verdict.url.href)
  if (!permit.ok) return permit
  const target = {
    webhookId: id ?? unsavedId,
    url: verdict.url.href,
    sealed: sealed.value.secrets,
    traceparent: unsaved.traceparent === true,
  }
  const attempt = await control.tryTest(target, message.value).finally(permit.release)
  const { outcome, response, errorClass } = attempt
  const to = { url: verdict.url.href, outcome, status: response?.status ?? null, errorClass }
  await transaction(control.outbox.pool, client =>
    recordAudit(client, caller, 'webhook.tried', { ...(id !== null && { webhookId: id }), to }),
  )
  return { ok: true, value: attempt }
}

/** No webhook has this id: they count from 1. */
const unsavedId = 0

async function unsavedSecrets(
  control: Control,
  caller: Caller,
  id: number | null,
  url: string,
  { headers: change, clientCertificate, clientKey }: Unsaved,
): Promise<Result<{ secrets: Sealed; tenant: string | null }>> {
  const client = validateIdentity(clientCertificate, clientKey)
  if (client.problems.length > 0) return invalid(...client.problems)
  const { sealKey, randomBytes } = control
  const webhook = id === null ? null : await findWebhook(control.outbox, id)
  const stored = id === null ? null : await findSealed(control.outbox.pool, id)
  if (id !== null && (!webhook || !stored)) return notFound('webhook', id)
  const opened = stored && id !== null ? openHeaders(sealKey, id, stored.headers) : null
  const present = opened === null ? {} : opened.ok ? opened.headers : null
  const isKept = webhook !== null && keepsHeaders(webhook.url, url)
  const headers = changeHeaders(isKept ? webhook.headerNames : [], isKept ? present : {}, change)
  if (!headers.ok) return invalid(...headerProblems(headers))
  const under = id ?? unsavedId
  const nonce = () => randomBytes(nonceBytes)
  const isEmpty = Object.keys(headers.headers).length === 0
  const secrets = {
    ...(stored ?? {
      secret: sealSecret(sealKey, under, newSecret(control), nonce()),
      previousSecret: null,
    }),
    headers: isEmpty ? null : sealHeaders(sealKey, under, headers.headers, nonce()),
    ...(!isKept && { identity: null }),
    ...(client.identity && { identity: sealIdentity(sealKey, under, client.identity, nonce()) }),
    ...(client.identity === null && { identity: null }),
  }
  return { ok: true, value: { secrets, tenant: webhook?.tenant ?? caller.tenant } }
}

/** Whether there are user accounts that a test of a webhook of this tenant (null: of none) may send. */
export const hasAccounts = (
  { entityTypes, tenantTypes }: Pick<Control, 'entityTypes' | 'tenantTypes'>,
  tenant: string | null,
): boolean => (tenant === null ? entityTypes : tenantTypes).includes(entityType)

/** The example of the first trigger, as the page shows it; null: there is none. */
async function exampleOf({ readShapes }: Control, triggers: readonly string[]) {
  const shapes = await readShapes().catch(() => [])
  const entity = triggers.flatMap(trigger =>
    shapes.filter(one => trigger.startsWith(`${one.entityType}.`)),
  )[0]
  if (!entity) return null
  const body = bodyExample({ entity, action: 'test' })
  return { entityType: entity.entityType, entityId: exampleKey(entity), body }
}

/** The test event of the account `userId`, or of the caller's own, within the webhook's tenant. */
async function testMessage(
  control: Control,
  caller: Caller,
  userId: string | null,
  { isBatch, triggers = [], tenant }: Pick<Unsaved, 'isBatch' | 'triggers'> & { tenant: string | null },
): Promise<Result<{ entityType: string; entityId: string; body: string }>> {
  const inBatch = (event: string) => (isBatch ? batchBody([event]) : event)
  // A receiver of alerts only gets no personal data.
  const [alert, ...others] = triggers.filter(isAlertTrigger)
  if (alert && others.length + 1 === triggers.length && userId === null) {
    const body = inBatch(alertExample(alert, 'test'))
    return { ok: true, value: { entityType: storedAlert(alert).entityType, entityId: '1', body } }
  }
  if (!hasAccounts(control, tenant)) {
    const example = userId === null ? await exampleOf(control, triggers) : null
    if (!example) return invalid(wrongField('', because('test.no_user_entity')))
    return { ok: true, value: { ...example, body: inBatch(example.body) } }
  }
  const key = userId ?? caller.userId
  if (key === null)
    return invalid(wrongField('/user_id', because('test.no_account', { caller: caller.name })))
  const entity = await control.readEntity(entityType, key)
  if (!entity) return invalid(wrongField('/user_id', because('test.unknown_account', { userId: key })))

  if (tenant !== null && entity.tenant !== tenant)
    return invalid(wrongField('/user_id', because('test.other_tenant', { userId: key, tenant })))

  const { entityId, entityIdJson, resultJson } = entity
  const event = writeBody({ entityIdJson, resultJson, entityType, actionType: 'test' })
  // A receiver of batches gets a batch of one.
  return { ok: true, value: { entityType, entityId, body: inBatch(event) } }
}
