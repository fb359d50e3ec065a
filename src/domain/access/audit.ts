/** The actions of the audit log, as kind and verb. An operation that changes something adds its name here. */
export const auditActions = [
  'webhook.created',
  'webhook.changed',
  'webhook.deleted',
  'webhook.tried',
  'webhooks.applied',
  'webhook.disabled',
  'webhook.secret_shown',
  'webhook.secret_rotated',
  'recipient.asked',
  'deliveries.resent',
  'deliveries.replayed',
  'deliveries.cancelled',
  'replay.cancelled',
  'backfill.started',
  'backfill.changed',
  'backfill.cancelled',
  'entity.forgotten',
  'secrets.rekeyed',
  'outbox.adopted',
  'token.created',
  'token.revoked',
  'session.linked',
  'session.started',
  'session.refused',
  'sessions.ended',
] as const
export type AuditAction = (typeof auditActions)[number]

export const actorKinds = ['token', 'link', 'oidc', 'configuration', 'command line', 'walhook'] as const

/**
 * Who did something.
 *
 * - `tokenId`: set exactly if a stored token was used
 * - `link`: signed in by a link that a token created
 * - `oidc`: signed in at the OpenID provider
 */
export type Actor = {
  readonly kind: (typeof actorKinds)[number]
  readonly name: string
  readonly tokenId: number | null
  /** The actor's user account in the source database, if any. */
  readonly userId: string | null
  /** The actor's tenant; null: the actor sees all tenants. */
  readonly tenant: string | null
}

/** walhook, for changes that it makes by itself. */
export const walhookItself: Actor = {
  kind: 'walhook',
  name: 'walhook',
  tokenId: null,
  userId: null,
  tenant: null,
}

/** By field, in the API's words: the value before (absent where there was none) and after. */
export type Changes = Readonly<Record<string, { readonly from?: unknown; readonly to?: unknown }>>

/** Not an admin's action. */
const leftOut = new Set(['id', 'version', 'createdAt', 'updatedAt', 'failingTime'])

/**
 * The differences between two states of a thing; null: the thing is absent. Values are compared as JSON. A text that looks
 * like one of walhook's secrets is left out.
 */
export function changesBetween(from: object | null, to: object | null): Changes {
  const before = (from ?? {}) as Record<string, unknown>
  const after = (to ?? {}) as Record<string, unknown>
  const changes: Record<string, { from?: unknown; to?: unknown }> = {}
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (leftOut.has(key) || written(before[key]) === written(after[key])) continue
    changes[snakeCase(key)] = {
      ...(before[key] !== undefined && { from: withoutSecrets(before[key]) }),
      ...(after[key] !== undefined && { to: withoutSecrets(after[key]) }),
    }
  }
  return changes
}

function written(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? String(inner) : inner))
}

/** Signing secrets, tokens, sessions, links, and envelopes of `seal`. */
const secretText = /whsec_|whk_|whs_|whl_|\bv1:[0-9a-f]{8}:/

/** The value, as JSON would return it. */
function withoutSecrets(value: unknown): unknown {
  return JSON.parse(written(value)!, (_key, inner) =>
    typeof inner === 'string' && secretText.test(inner) ? '(secret)' : inner,
  )
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
