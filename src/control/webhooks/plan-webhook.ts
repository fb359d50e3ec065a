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
import type { Control } from '../kit/control.ts'
import { type FieldProblem, wrongField } from '../kit/result.ts'
import {
  headerProblems,
  type ValidatedFields,
  validateFields,
  validateFilterForms,
  validateIdentity,
  type WebhookFields,
} from './validate-fields.ts'

/** A webhook of a file, by name. `secret`: one that the receiver has already. */
export type WrittenWebhook = Omit<WebhookFields, 'name' | 'managedBy'> & {
  readonly secret?: string | undefined
}

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
  readonly validated: ValidatedFields
  /** The fields to write: all of a new webhook, the changed ones of another. */
  readonly fields: Partial<WebhookFields> | null
  readonly secret?: string | undefined
  readonly isSecretAnother?: boolean
}

/** A webhook, and the cell that has it. */
export type Present = { readonly webhook: Webhook; readonly cell: Cell }

/** The change of one webhook of a file, or its problems. */
export async function planOne(
  control: Control,
  source: string,
  name: string,
  { secret, headers = {}, clientCertificate = null, clientKey = null, ...rest }: WrittenWebhook,
  there: Present | null,
): Promise<{ step: Step | null; problems: readonly FieldProblem[] }> {
  const { webhook: before, cell } = there ?? { webhook: null, cell: null }
  // Each request checks a stored URL anyway; the file stays applicable while its name does not resolve.
  const isUrlKept = before !== null && URL.parse(rest.url)?.href === before.url
  const validated = await validateFields(control, { ...rest, ...(isUrlKept && { url: undefined }) })
  const identity = validateIdentity(clientCertificate, clientKey)
  const sealed = before && (await findSealed(cell.outbox.pool, before.id))
  const stored = before && sealed ? openAll(control, before, sealed) : null
  const wantedHeaders = headers as Readonly<Record<string, string>>
  const headerChange = { ...withoutThese(before, wantedHeaders), ...wantedHeaders }
  const headersNow = changeHeaders(
    before?.headerNames ?? [],
    stored?.headers ?? (before ? null : {}),
    headerChange,
  )
  const settings = settingsOf(rest, validated.url ?? (isUrlKept ? before.url : rest.url), source)
  const problems = [
    ...validated.problems,
    ...identity.problems,
    ...headerProblems(headersNow),
    ...validateFilterForms(settings),
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
    validated,
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
