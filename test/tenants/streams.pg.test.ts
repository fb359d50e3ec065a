import { expect, test } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createDeliver } from '../../src/delivery/sending/deliver.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { createDispatcher } from '../../src/delivery/turn/dispatcher.ts'
import type { ActionType } from '../../src/domain/event/event.ts'
import { actionFor, nobody } from '../../src/domain/event/tenant.ts'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { formatSecret } from '../../src/domain/webhook/signature.ts'
import { parseTargetList } from '../../src/domain/webhook/target-list.ts'
import { unboundPurpose } from '../../src/domain/webhook/webhook-secrets.ts'
import { append } from '../../src/outbox/log/append.ts'
import { insertWebhook } from '../../src/outbox/records/webhooks.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { type Reaction, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { randomFrom } from '../support/random.ts'
import { until } from '../support/wait.ts'

const tenants = 1_000
const entities = 400
const rounds = 30
const perRound = 60

const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
const secret = seal(sealKey, unboundPurpose, formatSecret(Buffer.alloc(32, 2)), Buffer.alloc(12, 3))
const triggers = ['user.new', 'user.update', 'user.delete'] as never

/** A process that delivers, with its receiver. */
async function openDelivery(at: TestOutbox, react: Parameters<typeof startFaultyReceiver>[0]) {
  const receiver = await startFaultyReceiver(react)
  const allow = parseTargetList('127.0.0.1')
  if (!allow.ok) throw new Error('the allow list is wrong')
  const limits = { deadlineMs: 5_000, connectTimeoutMs: 5_000, maxResponseBytes: 1_024 }
  const sender = openSender({ guard: createGuard({ allow: allow.list }), ...limits })
  const dispatcher = createDispatcher({
    outbox: at.outbox,
    deliver: createDeliver({ post: sender.post, sealKey, userAgent: 'walhook/0.0.0', nowMs: Date.now }),
    // More than a busy machine can fail: a delivery that is given up would never come.
    scheduleMs: Array.from({ length: 200 }, () => 20),
    ...{ maxInFlightPerWebhook: 20, maxInFlight: 200, deadlineMs: 5_000, drainMs: 0 },
    ...{ nowMs: Date.now, random: Math.random, log: silentLog, onSettled() {} },
  })
  const stop = new AbortController()
  const running = dispatcher.run(stop.signal)
  return {
    receiver,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
      await sender.close()
      await receiver[Symbol.asyncDispose]()
    },
  }
}

/** What happens to entities that belong to tenants, come, go, and move between them. */
function createWorkload(seed: number) {
  const random = randomFrom(seed)
  const any = (count: number) => Math.floor(random() * count)
  const ownerOf = new Map<number, string | null>()
  const anyTenant = () => (any(20) === 0 ? null : `t${any(tenants)}`)
  return (): { id: number; action: ActionType; tenant: string | null; before: string | null } => {
    const id = 1 + any(entities)
    const owner = ownerOf.get(id)
    if (owner === undefined) {
      const tenant = anyTenant()
      ownerOf.set(id, tenant)
      return { id, action: 'new', tenant, before: null }
    }
    const kind = any(10)
    if (kind === 0) {
      ownerOf.delete(id)
      return { id, action: 'delete', tenant: owner, before: null }
    }
    const tenant = kind < 5 ? anyTenant() : owner
    ownerOf.set(id, tenant)
    return { id, action: 'update', tenant, before: tenant === owner ? null : (owner ?? nobody) }
  }
}

test("each of a thousand tenants' receivers gets only its own entities in order, while others fail", async () => {
  const seed = Date.now() % 100_000
  const random = randomFrom(seed)
  const next = createWorkload(seed)
  await using at = await openTestOutbox()
  // A tenth of the receivers refuses what comes for the first time, and some hang up.
  const react = ({ path }: { path: string }, earlier: number): Reaction => {
    const n = Number(path.slice(2))
    if (earlier > 0 || !(n % 10 === 3)) return {}
    return n % 20 === 3 ? { fault: 'close' } : { status: 500 }
  }
  await using delivery = await openDelivery(at, react)
  const webhookOf = (tenant: string | null, path: string) =>
    insertWebhook(at.outbox, {
      name: path,
      url: delivery.receiver.url(path),
      isActive: true,
      triggers,
      secret,
      tenant,
    })
  for (let i = 0; i < tenants; i++) await webhookOf(`t${i}`, `/t${i}`)
  await webhookOf(null, '/all')

  const expected = new Map<string, string[]>()
  let deliveries = 0
  for (let round = 0; round < rounds; round++) {
    const happened = Array.from({ length: 1 + Math.floor(random() * perRound) }, next)
    const input = at.nextAppend(...happened.map(({ id, action }) => `user ${id} ${action}`))
    const events = input.events.map((event, i) => {
      const { action, tenant, before } = happened[i]!
      const body =
        action === 'delete'
          ? event.body
          : `${event.body.slice(0, -1)},"result":{"of":${JSON.stringify(tenant)}}}`
      return { ...event, body, of: { tenant, tenantBefore: before } }
    })
    await append(at.outbox.pool, { ...input, events })
    for (const { id, action, tenant, before } of happened) {
      const event = { actionType: action, tenant, tenantBefore: before }
      const concerned: (string | null)[] = [
        null,
        ...new Set([tenant, before].filter(one => one !== null && one !== nobody)),
      ]
      for (const one of concerned) {
        const told = actionFor(one, event)
        if (told === null) continue
        const lane = `/${one ?? 'all'} user ${id}`
        expected.set(lane, [...(expected.get(lane) ?? []), told])
        deliveries++
      }
    }
  }

  // What was accepted may come again where an answer was not settled in time: by the same id, and it counts once.
  const accepted = () => {
    const seen = new Set<string>()
    return delivery.receiver.account.filter(
      ({ reaction, path, messageId }) =>
        reaction.status === undefined &&
        reaction.fault === undefined &&
        !seen.has(`${path} ${messageId}`) &&
        seen.add(`${path} ${messageId}`),
    )
  }
  await until(() => accepted().length >= deliveries, {
    what: `${deliveries} deliveries (seed ${seed})`,
    timeoutMs: 150_000,
  })
  const got = new Map<string, string[]>()
  for (const { lane, body } of accepted()) got.set(lane, [...(got.get(lane) ?? []), body.action_type])
  expect({ seed, got: Object.fromEntries([...got].sort()) }).toEqual({
    seed,
    got: Object.fromEntries([...expected].sort()),
  })
  for (const { path, body } of delivery.receiver.account) {
    if (path === '/all' || body.action_type === 'delete') continue
    expect({ seed, path, of: body.result.of }).toEqual({ seed, path, of: path.slice(1) })
  }
}, 240_000)
