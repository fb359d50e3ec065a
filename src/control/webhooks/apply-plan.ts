import { mergeSorted } from '../../domain/cells/merge-sorted.ts'
import { because } from '../../domain/shown/reason.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { listWebhooks } from '../../outbox/records/webhooks.ts'
import { overCells } from '../kit/cells.ts'
import type { Caller, Control } from '../kit/control.ts'
import { type FieldProblem, wrongField } from '../kit/result.ts'
import { controlFor } from '../kit/tenants.ts'
import { type Present, planOne, type Step, type WrittenWebhook } from './plan-webhook.ts'
import { chooseTenant } from './tenant.ts'
import { type ValidatedFields, validateFields } from './validate-fields.ts'

/** The readable parts of a webhook with errors: they are checked too. */
export type Unreadable = {
  readonly readable: Partial<WrittenWebhook>
  readonly problems: readonly FieldProblem[]
}

export type ApplyInput = {
  /** The file's name. */
  readonly source: string
  readonly webhooks: ReadonlyMap<string, WrittenWebhook>
  /** Webhooks with a field of a wrong type. */
  readonly unreadable: ReadonlyMap<string, Unreadable>
  /** Deletes webhooks that are no longer in the file. */
  readonly prunes: boolean
  /** Only reports what would be done. */
  readonly isDry: boolean
  /** Takes over webhooks of another file. */
  readonly isForced: boolean
}

/** The JSON Pointer to a webhook in the request. */
export const pointerOf = (name: string): string =>
  `/webhooks/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`

/**
 * The changes of a file, and all its problems. Reads only. Every cell is needed: one that is `away` may have a webhook of the
 * file.
 */
export async function planApply(
  control: Control,
  caller: Caller,
  input: ApplyInput,
): Promise<{
  readonly steps: readonly Step[]
  readonly problems: readonly FieldProblem[]
  readonly away: readonly string[]
}> {
  const source = sourceOf(caller, input.source)
  const { all, away } = await allWebhooks(control, caller)
  if (away.length > 0) return { steps: [], problems: [], away }
  const present = Map.groupBy(all, ({ webhook }) => webhook.name)
  const problems: FieldProblem[] = []
  const steps: Step[] = []
  for (const [name, { readable, problems: wrong }] of input.unreadable) {
    const { problems: others } = await validateFields(control, readable)
    problems.push(...wrong, ...atWebhook(name, others))
  }
  for (const [name, written] of input.webhooks) {
    // Two tenants may have webhooks of the same name.
    const of = chooseTenant(caller, written.tenant)
    const found = (present.get(name) ?? []).filter(({ webhook }) => webhook.tenant === of.tenant)
    const [there = null] = found
    const before = there?.webhook ?? null
    problems.push(...atWebhook(name, of.problems))
    if (found.length > 1)
      problems.push(
        ...atWebhook(name, [
          wrongField(
            '',
            because('webhook.same_name', { name, ids: found.map(({ webhook }) => webhook.id).join(', ') }),
          ),
        ]),
      )
    if (before?.managedBy && before.managedBy !== source && !input.isForced)
      problems.push(
        ...atWebhook(name, [
          wrongField('', because('webhook.managed_elsewhere', { name, source: before.managedBy })),
        ]),
      )
    const planned = await planOne(
      of.tenant === null ? control : controlFor(control, of),
      source,
      name,
      written,
      there,
    )
    problems.push(...atWebhook(name, planned.problems))
    if (planned.step) steps.push(planned.step)
  }
  const isNamed = ({ name, tenant }: Webhook) =>
    input.unreadable.has(name) ||
    (input.webhooks.has(name) && chooseTenant(caller, input.webhooks.get(name)!.tenant).tenant === tenant)
  for (const there of all)
    if (there.webhook.managedBy === source && !isNamed(there.webhook)) steps.push(gone(there, input.prunes))
  return { steps, problems, away }
}

/** A tenant's file is separate from ours, even with the same name. */
const sourceOf = ({ tenant }: Caller, source: string) => (tenant === null ? source : `${source} (${tenant})`)

const atWebhook = (name: string, problems: readonly FieldProblem[]): FieldProblem[] =>
  problems.map(each => ({ ...each, pointer: `${pointerOf(name)}${each.pointer}` }))

const nothingWrong: ValidatedFields = { problems: [] }

function gone({ webhook: before, cell }: Present, prunes: boolean): Step {
  return {
    name: before.name,
    id: before.id,
    action: prunes ? 'delete' : 'left',
    differences: [],
    before,
    cell,
    validated: nothingWrong,
    fields: null,
  }
}

async function allWebhooks(control: Control, { tenant }: Caller) {
  const { results, away } = await overCells(control, async (outbox, cell) => {
    const all: Present[] = []
    for (let after = 0; ; after = all.at(-1)!.webhook.id) {
      const page = await listWebhooks(outbox, { limit: 1_000, after, tenant })
      all.push(...page.map(webhook => ({ webhook, cell })))
      if (page.length < 1_000) return all
    }
  })
  const lists = results.map(({ value }) => value)
  return { all: mergeSorted(lists, (a, b) => a.webhook.id < b.webhook.id), away }
}
