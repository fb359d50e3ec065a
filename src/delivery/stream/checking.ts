import { isUnsent } from '../../domain/delivery/task.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { blockedEntities } from '../../outbox/aside/blocked.ts'
import { latestOf } from '../../outbox/aside/latest.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { Machine } from './machine.ts'
import { type Queue, type Task, waitingIn } from './queue.ts'

const mostChecked = 1_000

/** Asks of tasks what has to be known before they are sent: whether their entities are blocked, and what supersedes them. */
export function createChecking(options: {
  outbox: Outbox
  holderId: number
  machine: Machine
  /** How far the stream of a webhook was read. */
  readUpToOf: (queue: Queue) => (share: number) => TimeId
  /** Somebody has taken over from this process. */
  fenced: () => void
}) {
  const { outbox, holderId, machine, readUpToOf, fenced } = options
  const toCheck: { queue: Queue; task: Task }[] = []

  /** Asks about some of the tasks. Where that fails, they are asked about again: nobody else moves them on. */
  async function check() {
    const some = toCheck.splice(0, mostChecked).filter(({ task }) => task.state === 'checking')
    try {
      await checkAll(some)
    } catch (error) {
      toCheck.unshift(...some)
      throw error
    }
  }

  /** Whether entities are blocked, and what of them is superseded. */
  async function checkAll(some: readonly { queue: Queue; task: Task }[]) {
    const unsure = some.filter(({ queue, task }) => queue.hasAside && task.window !== null)
    const blocked = await blockedAmong(unsure)
    for (const { queue, task } of blocked) machine.checked(queue, task, true)
    const free = some.filter(({ task }) => task.state === 'checking')
    for (const [queue, checked] of Map.groupBy(free, ({ queue }) => queue)) {
      const tasks = checked.map(({ task }) => task)
      if (queue.settings.mode === 'latest') await collapse(queue, tasks)
      else for (const task of tasks) machine.checked(queue, task, false)
    }
  }

  async function blockedAmong(some: readonly { queue: Queue; task: Task }[]) {
    if (some.length === 0) return []
    const versions = new Map(some.map(({ queue }) => [queue, queue.asideVersion]))
    const { blocked, without } = await blockedEntities(outbox, {
      webhookIds: some.map(({ queue }) => queue.id),
      entityTypes: some.map(({ task }) => task.delivery.entityType),
      entityIds: some.map(({ task }) => task.delivery.entityId),
    })
    for (const id of without) {
      const queue = machine.queues.get(id)
      if (queue && queue.asideVersion === versions.get(queue)) queue.hasAside = false
    }
    return some.filter((_, i) => blocked[i])
  }

  /** Of a webhook that wants the latest state only: what is behind a task in memory may say all of it. */
  async function collapse(queue: Queue, tasks: readonly Task[]) {
    const all = new Set(tasks.flatMap(task => [task, ...waitingIn(queue, task.key)]))
    const taskOf = new Map([...all].map(task => [task.delivery.eventId, task]))
    const deliveries = [...all].map(({ delivery }) => delivery)
    const input = { holderId, webhookId: queue.id, deliveries, readUpTo: readUpToOf(queue) }
    const { isFenced, send, superseded } = await latestOf(outbox, input)
    if (isFenced) return fenced()
    for (const { delivery } of superseded) {
      const task = taskOf.get(delivery.eventId)
      if (task && isUnsent(task.state)) machine.superseded(queue, task)
    }
    for (const delivery of send) {
      const task = taskOf.get(delivery.eventId)
      if (task) task.delivery = delivery
      if (task?.state === 'checking') machine.checked(queue, task, false)
    }
  }

  return {
    add: (queue: Queue, task: Task) => void toCheck.push({ queue, task }),
    isWanted: () => toCheck.length > 0,
    check,
  }
}
