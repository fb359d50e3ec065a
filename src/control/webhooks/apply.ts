import { because } from '../../domain/shown/reason.ts'
import type { Difference } from '../../domain/webhook/differences.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { bringForward } from '../../outbox/aside/early-retries.ts'
import type { Cell } from '../../outbox/cells/cells.ts'
import { transaction } from '../../outbox/database/database.ts'
import { lockAllHolders } from '../../outbox/database/fence.ts'
import { notifyWake } from '../../outbox/log/wake.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { deleteLeftovers, findNameTaken, lockApplies, lockWebhooks } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { conflict, type Failed, invalid, type Result, unavailable } from '../kit/result.ts'
import { type ApplyInput, planApply, pointerOf } from './apply-plan.ts'
import type { Step } from './plan-webhook.ts'
import { noteRecipients } from './recipients.ts'
import { setGivenSecret } from './secrets.ts'
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  isLikelyBack,
  newIdIn,
  type WebhookFields,
} from './webhooks.ts'

/** The actual or planned change of a webhook. */
type AppliedWebhook = {
  readonly name: string
  /** Null: it would be created. */
  readonly id: number | null
  readonly action: Step['action']
  readonly differences: readonly Difference[]
  /** The secret of a new webhook, unless the file contains one: shown only once. */
  readonly secret?: string
}

/**
 * Makes the webhooks equal to a file: everything or nothing, with every problem at once. Idempotent. Webhooks of other files,
 * or of none, stay. Each cell has a transaction, and all of them are open until every change is made: then they commit one
 * after the other, main last. A crash between two commits leaves a cell applied and another not: apply it again.
 */
export async function applyWebhooks(
  control: Control,
  caller: Caller,
  input: ApplyInput,
): Promise<Result<readonly AppliedWebhook[]>> {
  const { steps, problems, away } = await planApply(control, caller, input)
  if (away[0] !== undefined) {
    const named = caller.tenant === null ? away[0] : null
    return unavailable(because('cell.away_for_file', { cell: named }))
  }
  if (problems.length > 0) return invalid(...problems)
  const todo = steps.filter(({ action }) => action !== 'none' && action !== 'left')
  if (input.isDry || todo.length === 0) return { ok: true, value: steps.map(step => shown(step)) }
  const done = await carryOut(control, caller, input, todo)
  if (!done.ok) return done
  return { ok: true, value: steps.map(step => shown(step, done.value.get(step))) }
}

/** By step: two tenants may have webhooks of one name. */
type Done = ReadonlyMap<Step, { readonly id: number; readonly secret?: string }>

type Client = Parameters<Parameters<typeof transaction>[1]>[0]

/** Rolls everything back. */
class Undo extends Error {
  readonly failure: Failed
  constructor(failure: Failed) {
    super('undone')
    this.failure = failure
  }
}

/** A change, in the cell where it is made; with the id of a new webhook. */
type Placed = { readonly step: Step; readonly cell: Cell; readonly id: number | null }

async function carryOut(
  control: Control,
  caller: Caller,
  input: ApplyInput,
  todo: readonly Step[],
): Promise<Result<Done>> {
  const { main } = control.cells
  const placed = await placeNew(control, caller, todo)
  const byCell = Map.groupBy(placed, ({ cell }) => cell)
  const others = [...byCell.keys()].filter(cell => cell !== main)
  const done = new Map<Step, { id: number; secret?: string }>()
  const work = async (cell: Cell, db: Client) => {
    const its = byCell.get(cell) ?? []
    // The first lock of a cell; then all its webhooks, before a change locks their version: a settlement locks them in this order.
    if (its.some(({ step }) => step.action === 'delete' || step.fields?.batch === null))
      await lockAllHolders(db)
    await lockWebhooks(
      db,
      its.flatMap(({ step }) => step.id ?? []),
    )
    for (const each of its.toSorted((a, b) => (a.step.id ?? Infinity) - (b.step.id ?? Infinity))) {
      const { step } = each
      const result = await carryOutOne({ ...control, outbox: cell.outbox }, caller, db, each)
      if (!result.ok) throw new Undo(result.kind === 'stale' ? meanwhile(step.name) : result)
      const { webhook, secret } = result.value
      if (webhook) heard.push(webhook)
      if (webhook) done.set(step, { id: webhook.id, ...(secret !== undefined && { secret }) })
      if (webhook && step.before && isLikelyBack(step.before, webhook)) back.push({ cell, id: webhook.id })
    }
  }
  const back: { cell: Cell; id: number }[] = []
  const heard: Webhook[] = []
  try {
    await transaction(main.outbox.pool, async db => {
      await lockApplies(db)
      await refuseTaken(control, caller, db, todo)
      await inEach(others, work, async () => {
        await work(main, db)
        await recordAudit(db, caller, 'webhooks.applied', recorded(caller, input, todo))
      })
    })
  } catch (error) {
    // Another error may be the loss of a commit's answer: then the notes are needed.
    if (!(error instanceof Undo)) throw error
    for (const { id, cell, step } of placed)
      if (id !== null && cell !== main)
        await control.cells.place({ id, tenant: tenantOf(caller, step) }, main)
    return error.failure
  }
  for (const [{ outbox }, its] of byCell)
    if (its.some(({ step }) => step.action === 'delete')) await deleteLeftovers(outbox)
  for (const { step, cell } of placed)
    if (step.action === 'delete' && cell !== main)
      await control.cells.place({ id: step.id!, tenant: tenantOf(caller, step) }, main)
  await noteRecipients(control, caller, heard)
  for (const { cell, id } of back)
    if ((await bringForward(cell.outbox, id, control.earlyRetries)) > 0) await notifyWake(cell.outbox)
  return { ok: true, value: done }
}

/** Runs `work` in a transaction of each cell, then `last`, before any of them commits: the last one first. */
async function inEach(
  [cell, ...others]: readonly Cell[],
  work: (cell: Cell, db: Client) => Promise<void>,
  last: () => Promise<void>,
): Promise<void> {
  if (!cell) return await last()
  await transaction(cell.outbox.pool, async db => {
    await work(cell, db)
    await inEach(others, work, last)
  })
}

/** The cell of each change: new webhooks are spread, each under an id that is noted before. */
async function placeNew(control: Control, caller: Caller, todo: readonly Step[]): Promise<Placed[]> {
  const cells = [...(await control.cells.emptiest(todo.filter(({ action }) => action === 'create').length))]
  const placed: Placed[] = []
  for (const step of todo) {
    const cell = step.cell ?? cells.shift()!
    const id = step.cell ? null : await newIdIn(control, cell, tenantOf(caller, step))
    placed.push({ step, cell, id })
  }
  return placed
}

/** The tenant of a step's webhook. */
const tenantOf = ({ tenant }: Caller, { before, fields }: Step): string | null =>
  before ? before.tenant : (tenant ?? fields?.tenant ?? null)

/** Since the plan, another caller created a webhook with the name of a new one. */
async function refuseTaken(
  { cells }: Control,
  caller: Caller,
  db: Client,
  todo: readonly Step[],
): Promise<void> {
  const made = todo
    .filter(({ action }) => action === 'create')
    .map(step => ({ name: step.name, tenant: tenantOf(caller, step) }))
  // A cell may have become one of the tenant's since.
  for (const cell of (await cells.forTenant(caller.tenant)).all()) {
    // Not over another connection of main: callers that wait for the lock may have them all.
    const taken = await findNameTaken(cell === cells.main ? db : cell.outbox.pool, made)
    if (taken !== null) throw new Undo(meanwhile(taken))
  }
}

function recorded({ tenant }: Caller, { source }: ApplyInput, todo: readonly Step[]) {
  const count = (action: Step['action']) => todo.filter(step => step.action === action).length
  const to = { source, created: count('create'), changed: count('change'), deleted: count('delete') }
  return { id: source, tenant, to }
}

const meanwhile = (name: string) => conflict(because('apply.changed_meanwhile', { name }))

async function carryOutOne(
  control: Control,
  caller: Caller,
  db: Client,
  { step, id: newId }: Placed,
): Promise<Result<{ webhook: Webhook | null; secret?: string }>> {
  const { name, id, before, validated, secret } = step
  const within = { db, validated, id: newId }
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
