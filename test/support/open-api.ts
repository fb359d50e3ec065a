import { randomBytes } from 'node:crypto'
import { createApi, type Health } from '../../src/api/api.ts'
import { createMetrics } from '../../src/api/metrics/metrics.ts'
import { createAuthenticator } from '../../src/control/access/authenticate.ts'
import { macOf } from '../../src/control/access/credentials.ts'
import { createRates } from '../../src/control/access/rates.ts'
import { createToken } from '../../src/control/access/tokens.ts'
import { type Control, commandLine } from '../../src/control/kit/control.ts'
import { createTestLimiter } from '../../src/control/kit/test-limiter.ts'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createDeliver } from '../../src/delivery/sending/deliver.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { sendTest, tryTest } from '../../src/delivery/sending/send-test.ts'
import type { RatePolicy } from '../../src/domain/access/rate.ts'
import type { Role } from '../../src/domain/access/role.ts'
import { alertTriggers } from '../../src/domain/event/alert.ts'
import type { EntityShape, Field } from '../../src/domain/event-types/shape.ts'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { parseTargetList } from '../../src/domain/webhook/target-list.ts'
import { createCells } from '../../src/outbox/cells/cells.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { checkResponse } from './check-response.ts'
import { openTestOutbox, slotName } from './open-outbox.ts'

export const adminToken = 'an-admin-token-for-tests'

/** The API on an outbox of its own, with real deliveries to loopback and two user accounts, 7 and 8. */
export async function openTestApi(
  options: {
    rate?: RatePolicy
    nowMs?: () => number
    resolve?: () => Promise<string[]>
    /** Users belong to tenants: 7 to `acme`, 8 to `bravo`. */
    hasTenants?: boolean
    mailProblems?: Control['mailProblems']
  } = {},
) {
  const nowMs = options.nowMs ?? (() => Date.now())
  const at = await openTestOutbox()
  const allow = parseTargetList('127.0.0.1')
  if (!allow.ok) throw new Error('the allow list is wrong')
  const guard = createGuard({
    allow: allow.list,
    resolve: options.resolve ?? (async () => ['93.184.216.34']),
  })
  const sender = openSender({ guard, deadlineMs: 2_000, connectTimeoutMs: 1_000, maxResponseBytes: 1_024 })
  const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
  const deliver = createDeliver({
    post: sender.post,
    sealKey,
    userAgent: 'walhook/0.0.0',
    nowMs: () => Date.now(),
  })
  const tenantOfUser = (key: string) => (options.hasTenants ? (key === '7' ? 'acme' : 'bravo') : null)
  const cells = createCells({
    main: at.outbox,
    sealKey,
    open: cell => openOutbox({ ...cell, maxConnections: 4, onError() {} }),
  })
  const control: Control = {
    outbox: at.outbox,
    cells,
    nowMs,
    sealKey,
    entityTypes: ['user', 'company'],
    tenantTypes: options.hasTenants ? ['user'] : [],
    labels: new Map([['user', ['name_first', 'name_last']]]),
    alerts: alertTriggers,
    maxAttempts: 10,
    slotName,
    backfillAs: entityType => (entityType === 'company' ? 'update' : 'new'),
    readFields: async () =>
      new Map([
        ['user', ['id', 'email', 'companies']],
        ['company', ['id', 'name']],
      ]),
    readShapes: async () => shapes,
    checkTarget: guard.check,
    readEntity: async (_entityType, key) =>
      ['7', '8'].includes(key)
        ? { entityId: key, entityIdJson: key, resultJson: `{"id":${key}}`, tenant: tenantOfUser(key) }
        : null,
    sendTest: (outbox, target, message) => sendTest(outbox, deliver, target, message),
    tryTest: (target, message) => tryTest(deliver, target, message),
    testLimiter: createTestLimiter(),
    paceOf: () => null,
    maxInFlight: 100,
    trustedDomains: ['trusted.example'],
    mailProblems: options.mailProblems ?? null,
    earlyRetries: { count: 3, longestMs: 1_800_000 },
    captureState: () => ({ state: 'streaming', reason: null, slotName }),
    captureStatus: async () => ({
      state: 'streaming',
      reason: null,
      slotName,
      source: { walEnd: 0x20n, confirmedLsn: 0x10n, heldBackBytes: 64 },
      probeMs: 12,
    }),
    randomBytes,
    adminMac: macOf(sealKey, adminToken),
    publicUrl: 'https://walhook.test',
  }
  const state = { health: { database: { ok: true, status: 'reachable' } } as Record<string, Health> }
  const api = createApi({
    control,
    authenticate: createAuthenticator({
      outbox: at.outbox,
      admin: { token: adminToken, userId: '7' },
      nowMs,
    }),
    rates: createRates(options.rate ?? { quota: 1_000_000, windowS: 1 }, nowMs),
    keepMs: 0,
    health: async () => state.health,
    metrics: createMetrics(async () => ({
      health: { database: { ok: true } },
      queue: null,
      webhooks: null,
      heldBackBytes: null,
      captureState: 'streaming',
      openGaps: null,
      mappingLost: null,
      tables: [],
    })),
    log: silentLog,
  })
  /** Calls the API as any client; every response is validated by the document. */
  async function request(path: string, init: RequestInit, address = '192.0.2.1'): Promise<Response> {
    const socket = { remoteAddress: address, remoteFamily: address.includes(':') ? 'IPv6' : 'IPv4' }
    const response = await api.request(path, init, { incoming: { socket } })
    await checkResponse(init.method ?? 'GET', path, response)
    return response
  }
  return {
    ...at,
    control,
    state,
    request,
    /** A new stored token with this role: its text. */
    async token(
      role: Role,
      input: { name?: string; userId?: string; expiresAt?: Date; tenant?: string } = {},
    ) {
      const fields = { name: 'CI', userId: null, expiresAt: null, ...input, role }
      const made = await createToken(control, commandLine, fields)
      if (!made.ok) throw new Error(JSON.stringify(made))
      return made.value.text
    },
    /** Calls the API; a body that is no text is sent as JSON. A token of null is sent as none. */
    async call(method: string, path: string, body?: unknown, token: string | null = adminToken) {
      const response = await request(path, {
        method,
        headers: { ...(token !== null && { authorization: `Bearer ${token}` }) },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.includes('json')
      // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
      const json: any = isJson && text !== '' ? JSON.parse(text) : null
      return { status: response.status, headers: response.headers, text, json }
    },
    async [Symbol.asyncDispose]() {
      await sender.close()
      await at[Symbol.asyncDispose]()
    },
  }
}

const shapeOf = (entityType: string, columns: readonly string[]): EntityShape => ({
  entityType,
  key: [{ column: 'id', type: { kind: 'int32' } }],
  hasNumberId: true,
  columns: columns.map(name => ({
    name,
    shape: { kind: name === 'id' ? 'int32' : 'text' },
    mayBeNull: name !== 'id',
  })),
  others: [],
  last: null,
})

const companies: Field = {
  name: 'companies',
  shape: { kind: 'list', of: { shape: { kind: 'int32' }, mayBeNull: false } },
  mayBeNull: false,
}
const shapes = [
  { ...shapeOf('user', ['id', 'email']), others: [companies] },
  shapeOf('company', ['id', 'name']),
]
