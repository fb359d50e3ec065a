/** What is recorded, as kind and what happened to it. Whoever adds an operation that changes something adds its name. */
export const auditActions = [
  'webhook.created',
  'webhook.changed',
  'webhook.deleted',
  'webhook.tried',
  'webhooks.applied',
  'webhook.disabled',
  'webhook.secret_shown',
  'webhook.secret_rotated',
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
 * Who did something. `tokenId` is there exactly where a stored token was used; `link`: whoever came by a link that a token
 * made; `oidc`: whoever signed in at the OpenID provider.
 */
export type Actor = {
  readonly kind: (typeof actorKinds)[number]
  readonly name: string
  readonly tokenId: number | null
  /** The user account, in the source database, that the actor is, if any. */
  readonly userId: string | null
  /** The tenant that it belongs to; null: to none, and it may know of all. */
  readonly tenant: string | null
}

/** walhook, where it changes something by itself. */
export const walhookItself: Actor = {
  kind: 'walhook',
  name: 'walhook',
  tokenId: null,
  userId: null,
  tenant: null,
}

/** By field, in the API's words: the value before (absent where there was none) and after. */
export type Changes = Readonly<Record<string, { readonly from?: unknown; readonly to?: unknown }>>

/** Says nothing of what an admin did. */
const leftOut = new Set(['id', 'version', 'createdAt', 'updatedAt', 'failingTime'])

/**
 * What differs between two states of a thing, of which null is its absence. Values are written as JSON; a text that
 * looks like a secret of ours is not, wherever it stands.
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

/** Signing secrets, tokens, sessions, and envelopes of `seal`. */
const secretText = /whsec_|whk_|whs_|whl_|\bv1:[0-9a-f]{8}:/

/** A value as it is read from JSON. */
function withoutSecrets(value: unknown): unknown {
  return JSON.parse(written(value)!, (_key, inner) =>
    typeof inner === 'string' && secretText.test(inner) ? '(secret)' : inner,
  )
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
