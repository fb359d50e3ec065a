import { isSkipped } from '../../domain/delivery/skip.ts'
import { isUnsent } from '../../domain/delivery/task.ts'
import { type Entity, entityKey } from '../../domain/event/entity.ts'
import type { DeliverySettings } from '../../outbox/holders/delivery-settings.ts'
import type { Machine } from './machine.ts'
import { openQueue, type Queue } from './queue.ts'
import { blocked, due, forget } from './tasks.ts'

/** Adds changed webhooks, and drops deleted ones: everything of `version` is known then. */
export function setSettings(
  machine: Machine,
  read: { version: number; webhooks: readonly DeliverySettings[]; gone: readonly number[] },
): void {
  const isStart = machine.version < 0
  machine.version = read.version
  for (const id of read.gone) drop(machine, id)
  for (const settings of read.webhooks) {
    const queue = machine.queues.get(settings.id) ?? openQueue(settings)
    // A webhook that is moved here has rows, and its events may arrive before its settings.
    if (!isStart && !machine.queues.has(settings.id)) {
      blocked(queue)
      due(machine, queue, machine.clockMs())
    }
    machine.queues.set(settings.id, queue)
    setSettingsOf(machine, queue, settings)
  }
}

function setSettingsOf(machine: Machine, queue: Queue, settings: DeliverySettings): void {
  const nowMs = machine.clockMs()
  queue.settings = settings
  queue.heldUntilMs = nowMs + (settings.heldInMs ?? Number.NEGATIVE_INFINITY)
  queue.previousSecretUntilMs = nowMs + (settings.previousSecretEndsInMs ?? Number.NEGATIVE_INFINITY)
  machine.askers.add(queue)
  if (settings.skips.length > 0)
    forget(
      machine,
      queue,
      ({ state, window, delivery }) =>
        isUnsent(state) && window !== null && isSkipped(settings.skips, delivery),
    )
  if (queue.ready.length > 0) machine.active.add(queue)
}

/** The webhook is deleted: requests in flight end without effect. */
function drop(machine: Machine, id: number): void {
  const queue = machine.queues.get(id)
  if (!queue) return
  forget(machine, queue, () => true)
  machine.queues.delete(id)
  machine.lagging.delete(queue)
  machine.active.delete(queue)
  machine.working.delete(queue)
  machine.dues.delete(queue)
  machine.askers.drop(queue)
}

/** An entity is erased: its unsent tasks are dropped. */
export function forgetEntity(machine: Machine, entity: Entity): void {
  const key = entityKey(entity)
  for (const queue of machine.queues.values())
    forget(machine, queue, task => isUnsent(task.state) && task.window !== null && task.key === key)
}
