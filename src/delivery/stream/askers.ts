import type { OfTenant } from '../../domain/event/event.ts'
import { type Trigger, triggerOf } from '../../domain/event/trigger.ts'
import { triggersHeard } from '../../domain/event/wanted.ts'
import type { LogEvent } from '../../outbox/log/log.ts'
import type { Queue } from './queue.ts'

type ByTrigger = Map<string, Set<Queue>>

/**
 * The webhooks that want, or once wanted, events of a trigger, by tenant (null: without one). An event is matched for webhooks
 * of its tenant and without one only, so its cost does not depend on the number of tenants.
 */
export function createAskers() {
  const byTenant = new Map<string | null, ByTrigger>()
  const nobodys: ByTrigger = new Map()
  byTenant.set(null, nobodys)

  return {
    add(queue: Queue) {
      const { tenant, states } = queue.settings
      const byTrigger = byTenant.get(tenant) ?? new Map()
      byTenant.set(tenant, byTrigger)
      for (const trigger of states.flatMap(triggersHeard)) {
        if (!byTrigger.has(trigger)) byTrigger.set(trigger, new Set())
        byTrigger.get(trigger)!.add(queue)
      }
    },

    drop(queue: Queue) {
      const { tenant } = queue.settings
      const byTrigger = byTenant.get(tenant)
      for (const [trigger, some] of byTrigger ?? []) {
        some.delete(queue)
        if (some.size === 0) byTrigger!.delete(trigger)
      }
      if (tenant !== null && byTrigger?.size === 0) byTenant.delete(tenant)
    },

    /** `trigger` is the event's own. */
    of(event: Pick<LogEvent, 'entityType'> & OfTenant, trigger: Trigger): Iterable<Queue> {
      const everybodys = nobodys.get(trigger) ?? []
      if (event.tenant === null && event.tenantBefore === null) return everybodys
      return ofTenants(event, trigger, everybodys)
    },
  }

  function* ofTenants(
    { entityType, tenant, tenantBefore }: Pick<LogEvent, 'entityType'> & OfTenant,
    trigger: Trigger,
    everybodys: Iterable<Queue>,
  ): Generator<Queue> {
    yield* everybodys
    const isMoved = tenantBefore !== null
    const own = isMoved ? triggerOf(entityType, 'new') : trigger
    if (tenant !== null) yield* byTenant.get(tenant)?.get(own) ?? []
    if (isMoved) yield* byTenant.get(tenantBefore)?.get(triggerOf(entityType, 'delete')) ?? []
  }
}

export type Askers = ReturnType<typeof createAskers>
