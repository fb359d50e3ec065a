import { randomBytes } from 'node:crypto'
import { estimateOf } from './capture/backfill/backfill-page.ts'
import { readEntity } from './capture/backfill/read-entity.ts'
import type { Capture } from './capture/capture.ts'
import type { openMappingLost } from './capture/check/mapping-lost.ts'
import { entityShapes, fieldNames } from './capture/event-types/entity-shapes.ts'
import type { openReloadable } from './capture/reload.ts'
import { readSlotStatus } from './capture/source/preflight.ts'
import { readCatalogue } from './capture/source/read-catalogue.ts'
import { withoutPrevious } from './capture/verdict/rows-before.ts'
import type { Config } from './config/config.ts'
import { macOf } from './control/access/credentials.ts'
import type { Control } from './control/kit/control.ts'
import { createTestLimiter } from './control/kit/test-limiter.ts'
import type { Connections } from './databases.ts'
import type { Deliver } from './delivery/sending/deliver.ts'
import { sendTest, tryTest } from './delivery/sending/send-test.ts'
import type { MailProblem } from './domain/alert/recipient.ts'
import { earlyRetries } from './domain/delivery/retry.ts'
import { alertTriggers } from './domain/event/alert.ts'
import { backfillAs, labels, tenantTypes } from './domain/mapping/mapping.ts'
import type { Cells } from './outbox/cells/cells.ts'
import { responseTimeoutMs } from './readiness.ts'
import type { CellRuns, Dispatcher } from './run-cell.ts'
import { shared } from './runtime/shared.ts'
import { within } from './runtime/within.ts'

export type Reloadable = Awaited<ReturnType<typeof openReloadable>>

/** The parts of a process that answers admins. */
export type Parts = {
  readonly config: Config
  readonly databases: Connections
  readonly cells: Cells
  readonly runs: CellRuns
  readonly reloadable: Reloadable
  readonly nowMs: () => number
  readonly capture: Capture
  readonly dispatcher: Dispatcher
  readonly mappingLost: ReturnType<typeof openMappingLost>
}

/** The interface of API, pages and commands to the other parts. */
export function openControl(
  { config, databases, cells, runs, reloadable, nowMs, capture, dispatcher, mappingLost }: Parts,
  { checkTarget, deliver }: { checkTarget: Control['checkTarget']; deliver: Deliver },
): Control {
  const { outbox, sourceOfCallers } = databases
  const { slotName, roles } = config
  const { mapping } = reloadable
  const captureState = () => ({
    ...(roles.has('capture') ? capture.state() : { state: 'not a role of this process', reason: null }),
    slotName,
  })
  // The source is asked once a second at most, however many forms are open.
  const catalogue = shared(
    1_000,
    () => performance.now(),
    () => readCatalogue(sourceOfCallers, mapping()),
  )
  return {
    outbox,
    cells,
    nowMs,
    sealKey: config.sealKey!,
    get entityTypes() {
      return mapping().map(({ entityType }) => entityType)
    },
    get tenantTypes() {
      return tenantTypes(mapping())
    },
    get labels() {
      return labels(mapping())
    },
    alerts: alertTriggers,
    maxAttempts: config.scheduleMs.length + 1,
    slotName,
    backfillAs: entityType => backfillAs(mapping())(entityType),
    readWithoutPrevious: async () => withoutPrevious(await catalogue(), mapping()),
    readMappingLost: mappingLost,
    mappingState: () => ({ file: config.mappingFile ?? null, ...reloadable.state() }),
    readFields: async () => fieldNames(await catalogue(), mapping()),
    readShapes: async () => entityShapes(await catalogue(), mapping()),
    checkTarget,
    async readRowsEstimate(entityType) {
      const entity = mapping().find(each => each.entityType === entityType)
      if (!entity) return null
      return await within(responseTimeoutMs, estimateOf(sourceOfCallers.pool, entity)).catch(() => null)
    },
    async readEntity(entityType, key) {
      const entity = mapping().find(each => each.entityType === entityType)
      if (!entity) return null
      return await readEntity(sourceOfCallers, await readCatalogue(sourceOfCallers, [entity]), entity, key)
    },
    sendTest: (outbox, target, message) => sendTest(outbox, deliver, target, message),
    tryTest: (target, message) => tryTest(deliver, target, message),
    testLimiter: createTestLimiter(),
    paceOf: roles.has('delivery') ? id => dispatcher.paceOf(id) ?? runs.paceOf(id) : () => null,
    maxInFlight: config.maxInFlightPerWebhook,
    earlyRetries: earlyRetries(config.scheduleMs),
    trustedDomains: config.mailDomains,
    mailProblems: roles.has('delivery') ? mailProblemOf(config) : null,
    captureState,
    captureStatus: async () => ({
      ...captureState(),
      source: await within(responseTimeoutMs, readSlotStatus(sourceOfCallers, slotName)).catch(() => null),
      probeMs: capture.probeMs(),
    }),
    randomBytes,
    adminMac: macOf(config.sealKey!, config.adminToken),
    publicUrl: publicUrlOf(config),
  }
}

function mailProblemOf({ mail, publicUrls }: Config): MailProblem | null {
  if (!mail) return 'smtp_server'
  return publicUrls.length === 0 ? 'public_url' : null
}

/** walhook's first public URL, else the address it listens on. */
function publicUrlOf({ publicUrls: [first], host, port }: Config): string {
  return first
    ? `${first.protocol}://${first.host}`
    : `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
