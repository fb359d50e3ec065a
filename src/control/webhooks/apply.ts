import { because } from '../../domain/shown/reason.ts'
import type { Difference } from '../../domain/webhook/differences.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { bringForward } from '../../outbox/aside/early-retries.ts'
import { transaction } from '../../outbox/database/database.ts'
import { lockAllHolders } from '../../outbox/database/fence.ts'
import { tellWake } from '../../outbox/log/wake.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { deleteLeftovers, lockApplies } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { conflict, type Failed, invalid, type Result } from '../kit/result.ts'
import { type ApplyWish, planApply, pointerOf, type Step } from './apply-plan.ts'
import { setGivenSecret } from './secrets.ts'
import { changeWebhook, createWebhook, deleteWebhook, isLikelyBack, type WebhookFields } from './webhooks.ts'

/** The actual or planned change of a webhook. */
export type AppliedWebhook = {
  readonly name: string
  /** Null: it would be created. */
  readonly id: number | null
  readonly action: Step['action']
  readonly differences: readonly Difference[]
  /** The secret of a new webhook, unless the file gives one: shown this once. */
  readonly secret?: string
}

/**
 * Makes the webhooks equal to a file: everything in one transaction, or nothing, with every problem at once. Idempotent.
 * Webhooks of other files, or of none, stay.
 */
export async function applyWebhooks(
  control: Control,
  caller: Caller,
  wish: ApplyWish,
): Promise<Result<readonly AppliedWebhook[]>> {
  const { steps, problems } = await planApply(control, caller, wish)
  if (problems.length > 0) return invalid(...problems)
  const todo = steps.filter(({ action }) => action !== 'none' && action !== 'left')
  if (wish.isDry || todo.length === 0) return { ok: true, value: steps.map(step => shown(step)) }
  const done = await carryOut(control, caller, wish, todo)
  if (!done.ok) return done
  return { ok: true, value: steps.map(step => shown(step, done.value.get(step))) }
}

/** By step: two tenants may have webhooks of one name. */
type Done = ReadonlyMap<Step, { readonly id: number; readonly secret?: string }>

/** Rolls everything back. */
class Undo extends Error {
  readonly failure: Failed
  constructor(failure: Failed) {
    super('undone')
    this.failure = failure
  }
}

async function carryOut(
  control: Control,
  caller: Caller,
  wish: ApplyWish,
  todo: readonly Step[],
): Promise<Result<Done>> {
  const done = new Map<Step, { id: number; secret?: string }>()
  const back: number[] = []
  try {
    await transaction(control.outbox.pool, async db => {
      // The first lock; then webhooks by ascending id, and new ones last.
      if (todo.some(step => step.action === 'delete' || step.fields?.batch === null)) await lockAllHolders(db)
      const made = todo.filter(({ action }) => action === 'create')
      const [taken] = await lockApplies(
        db,
        made.map(({ name, fields }) => ({ name, tenant: caller.tenant ?? fields?.tenant ?? null })),
      )
      if (taken !== undefined) throw new Undo(meanwhile(taken))
      for (const step of todo.toSorted((a, b) => (a.id ?? Infinity) - (b.id ?? Infinity))) {
        const result = await carryOutOne(control, caller, db, step)
        if (!result.ok) throw new Undo(result.kind === 'stale' ? meanwhile(step.name) : result)
        const { webhook, secret } = result.value
        if (webhook) done.set(step, { id: webhook.id, ...(secret !== undefined && { secret }) })
        if (webhook && step.before && isLikelyBack(step.before, webhook)) back.push(webhook.id)
      }
      const count = (action: Step['action']) => todo.filter(step => step.action === action).length
      await recordAudit(db, caller, 'webhooks.applied', {
        id: wish.source,
        tenant: caller.tenant,
        to: {
          source: wish.source,
          created: count('create'),
          changed: count('change'),
          deleted: count('delete'),
        },
      })
    })
  } catch (error) {
    if (error instanceof Undo) return error.failure
    throw error
  }
  if (todo.some(({ action }) => action === 'delete')) await deleteLeftovers(control.outbox)
  for (const id of back)
    if ((await bringForward(control.outbox, id, control.earlyRetries)) > 0) await tellWake(control.outbox)
  return { ok: true, value: done }
}

const meanwhile = (name: string) => conflict(because('apply.changed_meanwhile', { name }))

async function carryOutOne(
  control: Control,
  caller: Caller,
  db: Parameters<Parameters<typeof transaction>[1]>[0],
  step: Step,
): Promise<Result<{ webhook: Webhook | null; secret?: string }>> {
  const { name, id, before, judged, secret } = step
  const within = { db, judged }
  const isCurrent = ({ version }: Webhook) => version === before?.version
  if (step.action === 'delete') {
    const deleted = await deleteWebhook(control, caller, id!, isCurrent, { within })
    return deleted.ok ? { ok: true, value: { webhook: null } } : deleted
  }
  if (step.action === 'create') {
    const fields = { ...(step.fields as WebhookFields), name }
    const made = await createWebhook(control, caller, fields, { within, given: secret })
    if (!made.ok || secret === undefined) return made
    return { ok: true, value: { webhook: made.value.webhook } }
  }
  const changed = await changeWebhook(control, caller, id!, step.fields!, isCurrent, { within })
  if (!changed.ok) return inFile(changed, name)
  if (step.isSecretAnother) await setGivenSecret(control, caller, db, changed.value, secret!)
  return { ok: true, value: { webhook: changed.value } }
}

const inFile = (failure: Failed, name: string): Failed =>
  failure.kind === 'invalid'
    ? invalid(...failure.problems.map(each => ({ ...each, pointer: `${pointerOf(name)}${each.pointer}` })))
    : failure

function shown(step: Step, done?: { id: number; secret?: string }): AppliedWebhook {
  const { name, id, action, differences } = step
  return {
    name,
    id: id ?? done?.id ?? null,
    action,
    differences,
    ...(done?.secret !== undefined && { secret: done.secret }),
  }
}
