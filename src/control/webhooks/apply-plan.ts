import { mergeSorted } from '../../domain/cells/merge-sorted.ts'
import { because } from '../../domain/shown/reason.ts'
import { changeHeaders } from '../../domain/webhook/custom-headers.ts'
import {
  type Difference,
  differencesOf,
  headerDifferences,
  type Settings,
} from '../../domain/webhook/differences.ts'
import { parseSecret } from '../../domain/webhook/signature.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { openHeaders, openIdentity, openSecret, type Sealed } from '../../domain/webhook/webhook-secrets.ts'
import type { Cell } from '../../outbox/cells/cells.ts'
import { findSealed } from '../../outbox/records/secrets.ts'
import { listWebhooks } from '../../outbox/records/webhooks.ts'
import { overCells } from '../kit/cells.ts'
import type { Caller, Control } from '../kit/control.ts'
import { type FieldProblem, wrongField } from '../kit/result.ts'
import { controlFor } from '../kit/tenants.ts'
import {
  headerProblems,
  type Judged,
  judgeFields,
  judgeFilterForms,
  judgeIdentity,
  type WebhookFields,
} from './judge-fields.ts'
import { judgeTenant } from './tenant.ts'

/** A webhook of a file, by name. `secret`: one that the receiver has already. */
export type WrittenWebhook = Omit<WebhookFields, 'name' | 'managedBy'> & {
  readonly secret?: string | undefined
}

/** The readable parts of a webhook with errors: they are judged too. */
export type Unreadable = {
  readonly readable: Partial<WrittenWebhook>
  readonly problems: readonly FieldProblem[]
}

export type ApplyWish = {
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

/** The change of one webhook. */
export type Step = {
  readonly name: string
  /** Null: to be created. */
  readonly id: number | null
  /** left: no longer in the file, and not deleted. */
  readonly action: 'create' | 'change' | 'delete' | 'none' | 'left'
  readonly differences: readonly Difference[]
  readonly before: Webhook | null
  /** Null: it is new. */
  readonly cell: Cell | null
  readonly judged: Judged
  /** The fields to write: all of a new webhook, the changed ones of another. */
  readonly fields: Partial<WebhookFields> | null
  readonly secret?: string | undefined
  readonly isSecretAnother?: boolean
}

type Present = { readonly webhook: Webhook; readonly cell: Cell }

/**
 * The changes of a file, and all its problems. Reads only. Every cell is needed: one that is `away` may have a webhook of the
 * file.
 */
export async function planApply(
  control: Control,
  caller: Caller,
  wish: ApplyWish,
): Promise<{
  readonly steps: readonly Step[]
  readonly problems: readonly FieldProblem[]
  readonly away: readonly string[]
}> {
  const source = sourceOf(caller, wish.source)
  const { all, away } = await allWebhooks(control, caller)
  if (away.length > 0) return { steps: [], problems: [], away }
  const present = Map.groupBy(all, ({ webhook }) => webhook.name)
  const problems: FieldProblem[] = []
  const steps: Step[] = []
  for (const [name, { readable, problems: wrong }] of wish.unreadable) {
    const { problems: others } = await judgeFields(control, readable)
    problems.push(...wrong, ...atWebhook(name, others))
  }
  for (const [name, written] of wish.webhooks) {
    // Two tenants may have webhooks of the same name.
    const of = judgeTenant(caller, written.tenant)
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
    if (before?.managedBy && before.managedBy !== source && !wish.isForced)
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
    wish.unreadable.has(name) ||
    (wish.webhooks.has(name) && judgeTenant(caller, wish.webhooks.get(name)!.tenant).tenant === tenant)
  for (const there of all)
    if (there.webhook.managedBy === source && !isNamed(there.webhook)) steps.push(gone(there, wish.prunes))
  return { steps, problems, away }
}

/** A tenant's file is separate from ours, even with the same name. */
const sourceOf = ({ tenant }: Caller, source: string) => (tenant === null ? source : `${source} (${tenant})`)

const atWebhook = (name: string, problems: readonly FieldProblem[]): FieldProblem[] =>
  problems.map(each => ({ ...each, pointer: `${pointerOf(name)}${each.pointer}` }))

const nothingWrong: Judged = { problems: [] }

function gone({ webhook: before, cell }: Present, prunes: boolean): Step {
  return {
    name: before.name,
    id: before.id,
    action: prunes ? 'delete' : 'left',
    differences: [],
    before,
    cell,
    judged: nothingWrong,
    fields: null,
  }
}

async function allWebhooks(control: Control, { tenant }: Caller) {
  const { answers, away } = await overCells(control, async (outbox, cell) => {
    const all: Present[] = []
    for (let after = 0; ; after = all.at(-1)!.webhook.id) {
      const page = await listWebhooks(outbox, { limit: 1_000, after, tenant })
      all.push(...page.map(webhook => ({ webhook, cell })))
      if (page.length < 1_000) return all
    }
  })
  const lists = answers.map(({ value }) => value)
  return { all: mergeSorted(lists, (a, b) => a.webhook.id < b.webhook.id), away }
}

async function planOne(
  control: Control,
  source: string,
  name: string,
  { secret, headers = {}, clientCertificate = null, clientKey = null, ...rest }: WrittenWebhook,
  there: Present | null,
): Promise<{ step: Step | null; problems: readonly FieldProblem[] }> {
  const { webhook: before, cell } = there ?? { webhook: null, cell: null }
  // Each request judges a stored URL anyway; the file stays applicable while its name does not resolve.
  const isUrlKept = before !== null && URL.parse(rest.url)?.href === before.url
  const judged = await judgeFields(control, { ...rest, ...(isUrlKept && { url: undefined }) })
  const identity = judgeIdentity(clientCertificate, clientKey)
  const sealed = before && (await findSealed(cell.outbox.pool, before.id))
  const stored = before && sealed ? openAll(control, before, sealed) : null
  const wantedHeaders = headers as Readonly<Record<string, string>>
  const headerChange = { ...withoutThese(before, wantedHeaders), ...wantedHeaders }
  const headersNow = changeHeaders(
    before?.headerNames ?? [],
    stored?.headers ?? (before ? null : {}),
    headerChange,
  )
  const settings = settingsOf(rest, judged.url ?? (isUrlKept ? before.url : rest.url), source)
  const problems = [
    ...judged.problems,
    ...identity.problems,
    ...headerProblems(headersNow),
    ...judgeFilterForms(settings),
    ...(secret === undefined || isSecret(secret)
      ? []
      : [wrongField('/secret', because('webhook.bad_secret'))]),
  ]
  if (problems.length > 0) return { step: null, problems }

  const { differences, changed } = differencesOf(before, settings)
  const ofHeaders = headerDifferences(before?.headerNames ?? [], stored?.headers ?? null, wantedHeaders)
  const isCertificateAnother =
    clientCertificate !== (stored?.identity?.certificate ?? null) ||
    clientKey !== (stored?.identity?.key ?? null)
  const isSecretAnother = before !== null && secret !== undefined && secret !== stored?.secret
  const all: Difference[] = [
    ...differences,
    ...ofHeaders,
    ...(isCertificateAnother
      ? [
          {
            field: 'client_certificate',
            from: before?.clientCertificate?.fingerprint ?? null,
            to: identity.identity?.shown.fingerprint ?? null,
          },
        ]
      : []),
    ...(isSecretAnother ? [{ field: 'secret', from: '[redacted]', to: '[redacted] (another)' }] : []),
  ]
  const step = {
    name,
    id: before?.id ?? null,
    before,
    cell,
    judged,
    differences: all,
    secret,
    isSecretAnother,
  }
  const certificate = { clientCertificate, clientKey }
  if (!before)
    return {
      step: { ...step, action: 'create', fields: { ...rest, ...settings, headers, ...certificate } },
      problems,
    }
  if (all.length === 0) return { step: { ...step, action: 'none', fields: null }, problems }
  const isElsewhere = changed.includes('url')
  const fields: Partial<WebhookFields> = {
    ...Object.fromEntries(changed.map(each => [each, settings[each]])),
    ...((ofHeaders.length > 0 || isElsewhere) && {
      headers: headerChange,
    }),
    ...((isCertificateAnother || isElsewhere) && certificate),
  }
  return { step: { ...step, action: 'change', fields }, problems }
}

/** The present headers that are no longer wanted. */
function withoutThese(before: Webhook | null, wanted: Readonly<Record<string, string>>) {
  const kept = new Set(Object.keys(wanted).map(name => name.toLowerCase()))
  return Object.fromEntries(
    (before?.headerNames ?? []).filter(name => !kept.has(name)).map(name => [name, null]),
  )
}

/** A file's settings, with defaults. */
function settingsOf(
  written: Omit<WrittenWebhook, 'secret' | 'headers' | 'clientCertificate' | 'clientKey'>,
  url: string,
  source: string,
): Settings {
  return {
    url,
    isActive: written.isActive,
    triggers: [...new Set(written.triggers)] as unknown as Settings['triggers'],
    alertTo: [...new Set(written.alertTo ?? [])],
    previous: written.previous ?? false,
    traceparent: written.traceparent ?? false,
    updateFields: written.updateFields ? [...new Set(written.updateFields)] : null,
    filter: written.filter ?? null,
    filterEntering: written.filterEntering ?? 'update',
    filterLeaving: written.filterLeaving ?? 'nothing',
    mode: written.mode ?? 'every',
    batch: written.batch ?? null,
    logBodies: written.logBodies ?? 'all',
    managedBy: source,
  }
}

/** The stored secrets, as far as they can be opened. */
function openAll({ sealKey }: Control, { id }: Webhook, sealed: Sealed) {
  const secret = openSecret(sealKey, id, sealed.secret)
  const headers = openHeaders(sealKey, id, sealed.headers)
  const identity = openIdentity(sealKey, id, sealed.identity)
  return {
    secret: secret.ok ? secret.text : null,
    headers: headers.ok ? headers.headers : null,
    identity: identity.ok ? identity.identity : null,
  }
}

function isSecret(text: string): boolean {
  try {
    const { length } = parseSecret(text)
    return length >= 24 && length <= 64
  } catch {
    return false
  }
}
