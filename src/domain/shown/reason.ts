/** The facts of each reason. A code never changes its meaning. */
export type FactsOf = {
  'url.too_long': { characters: number; most: number }
  'url.space': Nothing
  'url.incomplete': Nothing
  'url.scheme': Nothing
  'url.login': Nothing
  'url.fragment': Nothing
  'url.port_0': Nothing
  'url.host': Nothing
  'url.http': { host: string }
  'url.http_name': { host: string }
  'url.unresolved': { host: string; code: string }
  'url.dns_failed': { host: string; code: string }
  'url.dns_late': { host: string }
  'address.none': { text: string }
  'address.denied': { target: string }
  'address.metadata': { address: string; range: string }
  'address.special': { address: string; kind: AddressKind; range: string }
  'address.own': { address: string }
  'address.resolved': { host: string; because: Reason }
  'webhook.trigger_unknown': { trigger: string; known: readonly string[] }
  'webhook.field_meant': { field: string; meant: string }
  'webhook.field_of_entity': { field: string; fields: readonly string[] }
  'webhook.field_form': { field: string; example: string }
  'filter.no_value': { field: string }
  'filter.number': { value: string }
  'filter.long': { characters: number; most: number }
  'filter.text': Nothing
  'filter.needs_trigger': { form: string; known: readonly string[] }
  'webhook.inactive': { webhookId: number }
  'webhook.disabled': { webhookId: number; why: string }
  'webhook.secret_unreadable': { webhookId: number; why: string }
  'webhook.missing': { webhookId: number }
  'header.long_name': { name: string; most: number }
  'header.bad_name': { name: string }
  'header.reserved': { name: string }
  'header.nothing_kept': { name: string; redacted: string }
  'header.long_value': { name: string; characters: number; most: number }
  'header.bad_value': { name: string }
  'header.twice': { name: string }
  'header.unreadable': { name: string }
  'header.too_many': { count: number; most: number }
  'certificate.missing': Nothing
  'certificate.key_missing': Nothing
  'certificate.not_pem': Nothing
  'certificate.key_encrypted': Nothing
  'certificate.key_not_pem': Nothing
  'certificate.other_key': Nothing
  'certificate.expired': { at: string }
  'certificate.not_yet': { at: string }
  'event.not_subscribed': { webhookId: number; trigger: string; eventId: string }
  'event.filtered': { webhookId: number; eventId: string }
  'event.in_flight': { webhookId: number; eventId: string }
  'replay.beyond_triggers': { caller: string; role: string }
  'replay.not_subscribed': { webhookId: number; trigger: string }
  'replay.trigger_form': { trigger: string }
  'replay.ended': { id: number; state: string }
  'missed.none': { webhookId: number }
  'missed.sent': { webhookId: number; id: number }
  'range.order': Nothing
  'test.foreign_account': { webhookId: number }
  'test.no_user_entity': Nothing
  'test.no_account': { caller: string }
  'test.other_tenant': { userId: string; tenant: string }
  'test.unknown_account': { userId: string }
  'token.past': { at: string }
  'tenant.foreign': Nothing
  'tenant.form': { most: number }
  'tenant.kept': Nothing
  'link.no_tenant': Nothing
  'link.path': { path: string }
  'once.going_on': Nothing
  'once.cut_off': Nothing
  'once.unreadable': Nothing
  'webhook.managed': { webhookId: number; source: string }
  'webhook.managed_elsewhere': { name: string; source: string }
  'webhook.same_name': { name: string; ids: string }
  'webhook.bad_secret': Nothing
  'webhook.no_such_field': { field: string; meant: string | null }
  'webhook.field_value': { field: string; why: string }
  'apply.changed_meanwhile': { name: string }
  'webhook.mail_address': { address: string }
  'recipient.stopped': Nothing
  'recipient.asked': { minutes: number }
  'recipient.smtp_server': Nothing
  'recipient.public_url': Nothing
  'recipient.daily_limit': Nothing
  'entity.unknown': { entityType: string; known: readonly string[]; meant: string | null }
  'backfill.open': { id: number | null; entityType: string; webhookId: number | null }
  'backfill.no_receiver': { trigger: string }
  'backfill.not_subscribed': { webhookId: number; trigger: string; other: string | null }
  'backfill.ended': { id: number; state: string }
  'source.away': Nothing
  /** `cell` null: for a tenant. */
  'cell.away': { cell: string | null }
  'cell.lost': { cell: string | null }
  'cell.away_for_file': { cell: string | null }
}

type Nothing = Record<never, never>

/** The kind of a forbidden address. */
export type AddressKind =
  | 'this_network'
  | 'private'
  | 'carrier_nat'
  | 'loopback'
  | 'link_local'
  | 'protocols'
  | 'documentation'
  | 'relay_6to4'
  | 'benchmarking'
  | 'multicast'
  | 'broadcast'
  | 'reserved'
  | 'unspecified'
  | 'ipv4_mapped'
  | 'ipv4_translated'
  | 'ipv4_compatible'
  | 'nat64'
  | 'discard_only'
  | 'dummy'
  | 'teredo'
  | '6to4'
  | 'segment_routing'
  | 'unique_local'
  | 'site_local'
  | 'not_public'

export type ReasonCode = keyof FactsOf

/** Why walhook refuses a request: a code with facts, for any language. In English: `sayInEnglish`. */
export type Reason = {
  readonly [Code in ReasonCode]: { readonly code: Code; readonly facts: FactsOf[Code] }
}[ReasonCode]

/** One sentence per code. `say` is for a reason inside a reason. */
export type ReasonTexts = {
  readonly [Code in ReasonCode]: (facts: FactsOf[Code], say: (reason: Reason) => string) => string
}

export function because<Code extends ReasonCode>(
  code: Code,
  ...[facts]: Nothing extends FactsOf[Code] ? [] : [FactsOf[Code]]
): Reason {
  return { code, facts: facts ?? {} } as Reason
}

export function say(reason: Reason, texts: ReasonTexts): string {
  const text = texts[reason.code] as (facts: unknown, say: (reason: Reason) => string) => string
  return text(reason.facts, inner => say(inner, texts))
}
