import { isUnsent } from '../../domain/delivery/task.ts'
import { blockedEntities } from '../../outbox/aside/blocked.ts'
import { latestOf } from '../../outbox/aside/latest.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { Machine } from './machine.ts'
import { type Queue, type Task, waitingIn } from './queue.ts'
import { readUpToOf } from './streams.ts'
import { checked, due, superseded } from './tasks.ts'

const maxChecked = 1_000

type Checking = {
  readonly outbox: Outbox
  readonly holderId: number
  readonly machine: Machine
  /** Another process has taken over. */
  readonly fenced: () => void
}

/**
 * Checks tasks before sending: whether their entities are blocked, and what supersedes them. Failed checks are repeated,
 * since nothing else moves these tasks on.
 */
export async function check(by: Checking): Promise<void> {
  const { toCheck } = by.machine
  const some = toCheck.splice(0, maxChecked).filter(({ task }) => task.state === 'checking')
  try {
    await checkAll(by, some)
  } catch (error) {
    toCheck.unshift(...some)
    throw error
  }
}

async function checkAll(by: Checking, some: Machine['toCheck']): Promise<void> {
  const { machine } = by
  const unsure = some.filter(({ queue, task }) => queue.hasAside && task.window !== null)
  for (const { queue, task } of await blockedAmong(by, unsure)) checked(machine, queue, task, true)
  const free = some.filter(({ task }) => task.state === 'checking')
  for (const [queue, asked] of Map.groupBy(free, ({ queue }) => queue)) {
    const tasks = asked.map(({ task }) => task)
    if (queue.settings.mode === 'latest') await collapse(by, queue, tasks)
    else for (const task of tasks) checked(machine, queue, task, false)
  }
}

async function blockedAmong({ outbox, machine }: Checking, some: Machine['toCheck']) {
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

/** For webhooks of mode `latest`: a later event in memory may supersede a task. */
async function collapse(
  { outbox, holderId, machine, fenced }: Checking,
  queue: Queue,
  tasks: readonly Task[],
) {
  const all = new Set(tasks.flatMap(task => [task, ...waitingIn(queue, task.key)]))
  const taskOf = new Map([...all].map(task => [task.delivery.eventId, task]))
  const deliveries = [...all].map(({ delivery }) => delivery)
  const input = { holderId, webhookId: queue.id, deliveries, readUpTo: readUpToOf(machine, queue) }
  const latest = await latestOf(outbox, input)
  if (latest.isFenced) return fenced()
  for (const { dueInMs } of latest.left) due(machine, queue, machine.clockMs() + Math.max(0, dueInMs))
  for (const { delivery } of latest.superseded) {
    const task = taskOf.get(delivery.eventId)
    if (task && isUnsent(task.state)) superseded(machine, queue, task)
  }
  for (const delivery of latest.send) {
    const task = taskOf.get(delivery.eventId)
    if (task) task.delivery = delivery
    if (task?.state === 'checking') checked(machine, queue, task, false)
  }
}
