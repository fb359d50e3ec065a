import type { Webhook } from '../../domain/webhook/webhook.ts'

/** Changes with every change by an admin, and when walhook disables the webhook. */
export function webhookTag({ version, disabledAt }: Pick<Webhook, 'version' | 'disabledAt'>): string {
  return `"${version}${disabledAt === null ? '' : '-disabled'}"`
}

/**
 * Whether `If-Match` names the entity tag `tag`; true if the header is absent or `*`. Weak tags never match.
 * https://www.rfc-editor.org/rfc/rfc9110#field.if-match
 */
export function matches(ifMatch: string | undefined, tag: string): boolean {
  if (ifMatch === undefined || ifMatch.trim() === '*') return true
  const named: readonly string[] = ifMatch.match(/(W\/)?"[^"]*"/g) ?? []
  return named.includes(tag)
}
