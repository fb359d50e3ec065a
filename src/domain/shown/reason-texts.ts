/** The kinds of forbidden addresses. */
export const addressKinds = {
  this_network: 'a "this network" address',
  private: 'a private address',
  carrier_nat: 'a carrier-grade NAT address',
  loopback: 'a loopback address',
  link_local: 'a link-local address',
  protocols: 'an address reserved for protocols',
  documentation: 'a documentation address',
  relay_6to4: 'a 6to4 relay address',
  benchmarking: 'a benchmarking address',
  multicast: 'a multicast address',
  broadcast: 'the broadcast address',
  reserved: 'a reserved address',
  unspecified: 'the unspecified address',
  ipv4_mapped: 'an IPv4-mapped address',
  ipv4_translated: 'an IPv4-translated address',
  ipv4_compatible: 'an IPv4-compatible address',
  nat64: 'a NAT64 address',
  discard_only: 'a discard-only address',
  dummy: 'a dummy address',
  teredo: 'a Teredo address',
  '6to4': 'a 6to4 address',
  segment_routing: 'a segment routing address',
  unique_local: 'a private (unique local) address',
  site_local: 'a site-local address',
  not_public: 'not a public address',
}

export type AddressKind = keyof typeof addressKinds

/** A reason inside a reason. */
export type Inner = { readonly code: string; readonly facts: object }

/** Reasons in English, the language of the API and the commands, and the facts of each. A code never changes its meaning. */
export const reasonTexts = {
  'url.too_long': (is: { characters: number; max: number }) =>
    `the URL has ${is.characters} characters: at most ${is.max} are allowed`,
  'url.space': () => 'the URL contains a space or a control character: remove it, or write a space as %20',
  'url.incomplete': () => 'this is not a complete URL: write it as https://host/path',
  'url.scheme': () => 'the URL must begin with https://',
  'url.login': () =>
    'the URL must not contain a user name or a password: send credentials in a header instead',
  'url.fragment': () =>
    'the URL must not contain a fragment: remove the # and what follows, it is never sent',
  'url.port_0': () => 'the URL must not name port 0: no server can listen there',
  'url.host': () => 'the host of the URL is not a valid host name',
  'url.http': ({ host }: { host: string }) =>
    `http:// is refused for ${host}: use https://, or add ${host} to WALHOOK_ALLOW_TARGETS`,
  'url.http_name': ({ host }: { host: string }) =>
    `http:// is refused for ${host}: use https://, or add ${host} to WALHOOK_ALLOW_TARGETS by name (a range that it resolves into is not enough)`,
  'url.unresolved': ({ host, code }: { host: string; code: string }) =>
    `${host} could not be resolved (${code}): check the spelling, and that the name exists in DNS`,
  'url.dns_failed': ({ host, code }: { host: string; code: string }) =>
    `${host} could not be resolved for now (${code}): the DNS server failed, which says nothing about the name; try again in a moment`,
  'url.dns_late': ({ host }: { host: string }) =>
    `${host} could not be resolved in time: the DNS server did not answer, try again`,
  'address.none': ({ text }: { text: string }) => `${JSON.stringify(text)} is not an IP address`,
  'address.denied': ({ target }: { target: string }) =>
    `${target} is closed to webhooks by WALHOOK_DENY_TARGETS, which goes before WALHOOK_ALLOW_TARGETS; choose another target, or remove it there`,
  'address.metadata': ({ address, range }: { address: string; range: string }) =>
    `${address} is a cloud metadata address (${range}), which webhooks may not reach; to allow it, name exactly ${address} in WALHOOK_ALLOW_TARGETS (a range or a host name is not enough)`,
  'address.special': ({ address, kind, range }: { address: string; kind: AddressKind; range: string }) =>
    `${address} is ${addressKinds[kind]} (${range}), which webhooks may not reach; to allow it, add ${address} to WALHOOK_ALLOW_TARGETS`,
  'address.own': ({ address }: { address: string }) =>
    `${address} is an address of this machine, or of a network that it is attached to, which webhooks may not reach; to allow it, add ${address} to WALHOOK_ALLOW_TARGETS`,
  'address.resolved': (
    { host, because }: { host: string; because: Inner },
    sentenceOf: (inner: Inner) => string,
  ) => `${host} resolves to an address that is not allowed: ${sentenceOf(because)}`,

  'webhook.trigger_unknown': ({ trigger, known }: { trigger: string; known: readonly string[] }) =>
    `${JSON.stringify(trigger)} is not a trigger. Triggers: ${known.join(', ')}.`,
  'webhook.managed': ({ webhookId, source }: { webhookId: number; source: string }) =>
    `Webhook ${webhookId} is managed as code, in ${source}: the next walhook apply overwrites your change. Change it there, take it over with "managed_by": null, or add ?force=true to change it once.`,
  'webhook.managed_elsewhere': ({ name, source }: { name: string; source: string }) =>
    `${JSON.stringify(name)} is managed by ${source}. Take it out of one of the two files, or add --force to manage it here`,
  'webhook.same_name': ({ name, ids }: { name: string; ids: string }) =>
    `webhooks ${ids} have the same name, ${JSON.stringify(name)}: give each its own`,
  'webhook.bad_secret': () =>
    'not a signing secret: write whsec_ and 24 to 64 random bytes in Base64, or leave it out and walhook creates one',
  'webhook.no_such_field': ({ field, meant }: { field: string; meant: string | null }) =>
    `there is no field ${JSON.stringify(field)}${meant === null ? '' : `. Did you mean ${meant}?`}`,
  'webhook.field_value': ({ field, why }: { field: string; why: string }) => `${field}: ${why}`,
  'apply.changed_meanwhile': ({ name }: { name: string }) =>
    `Somebody else changed ${JSON.stringify(name)} meanwhile. walhook changed nothing. Apply the file again.`,
  'recipient.stopped': () =>
    'The owner of this address has stopped these emails. Only its owner can start them again, by the link in an earlier email.',
  'recipient.asked': ({ minutes }: { minutes: number }) =>
    `walhook sent this address an email less than ${minutes} minutes ago. Ask its owner to look for it, also among spam.`,
  'mail.smtp_server': () =>
    'walhook sends no emails now: the operator of walhook must set WALHOOK_SMTP_URL and WALHOOK_MAIL_FROM.',
  'mail.public_url': () =>
    'walhook cannot ask new addresses to confirm now: the operator of walhook must set WALHOOK_URL.',
  'recipient.smtp_server': () =>
    'walhook cannot send the email that asks the owner: no process has a mail server. The operator of walhook must set WALHOOK_SMTP_URL and WALHOOK_MAIL_FROM. walhook then asks by itself.',
  'recipient.public_url': () =>
    'walhook cannot send the email that asks the owner: its link needs the public URL of walhook. The operator of walhook must set WALHOOK_URL. walhook then asks by itself.',
  'recipient.daily_limit': () =>
    'walhook has sent as many of these emails today as it may, for one tenant or to this address. It asks the owner tomorrow, by itself.',
  'webhook.mail_address': ({ address }: { address: string }) =>
    `${JSON.stringify(address)} is not an email address: write it as ops@example.com`,
  'webhook.field_meant': ({ field, meant }: { field: string; meant: string }) =>
    `${JSON.stringify(field)} is not a field. Did you mean ${meant}?`,
  'webhook.field_of_entity': ({ field, fields }: { field: string; fields: readonly string[] }) =>
    `${JSON.stringify(field)} is not a field. Its fields are ${fields.join(', ')}.`,
  'webhook.field_form': ({ field, example }: { field: string; example: string }) =>
    `${JSON.stringify(field)} is not a field. Write an entity type and a field, as in ${example}.`,
  'filter.no_value': ({ field }: { field: string }) =>
    `The list of ${field} is empty: no entity would match. Name at least one value, or leave the field out.`,
  'filter.number': ({ value }: { value: string }) =>
    `${value} has more digits than a JSON number keeps exactly (15, or whole numbers up to 9007199254740991). Filter on another field.`,
  'filter.long': ({ characters, max }: { characters: number; max: number }) =>
    `The value has ${characters} characters. At most ${max} are allowed.`,
  'filter.text': () =>
    'The value has a NUL character or half of a surrogate pair, which no text in Postgres can have. Remove the character.',
  'filter.needs_trigger': ({ form, known }: { form: string; known: readonly string[] }) =>
    `The webhook has no trigger for ${JSON.stringify(form)}. Add ${known.join(' or ')}, or choose another form.`,
  'webhook.inactive': ({ webhookId }: { webhookId: number }) =>
    `Webhook ${webhookId} is inactive, so nothing would be sent. Activate it first.`,
  'webhook.disabled': ({ webhookId, why }: { webhookId: number; why: string }) =>
    `Webhook ${webhookId} was disabled: ${why} Activate it again first.`,
  'webhook.secret_unreadable': ({ webhookId, why }: { webhookId: number; why: string }) =>
    `The signing secret of webhook ${webhookId} can't be read: ${why}. If that key is lost, rotate the secret.`,
  'webhook.missing': ({ webhookId }: { webhookId: number }) => `There is no webhook ${webhookId}.`,

  'header.long_name': ({ name, max }: { name: string; max: number }) =>
    `The header ${name} has a name of more than ${max} characters.`,
  'header.bad_name': ({ name }: { name: string }) =>
    `The header ${name} has an invalid name: use letters, digits and any of !#$%&'*+-.^_\`|~.`,
  'header.reserved': ({ name }: { name: string }) =>
    `The header ${name} is reserved for walhook or HTTP: leave it out.`,
  'header.nothing_kept': ({ name, redacted }: { name: string; redacted: string }) =>
    `The header ${name} has no value to keep: give it one instead of ${redacted}.`,
  'header.long_value': ({ name, characters, max }: { name: string; characters: number; max: number }) =>
    `The header ${name} has a value of ${characters} characters: at most ${max} are allowed.`,
  'header.bad_value': ({ name }: { name: string }) =>
    `The header ${name} has an invalid value: use visible ASCII, with spaces only inside, and no line breaks.`,
  'header.twice': ({ name }: { name: string }) => `The header ${name} appears twice.`,
  'header.unreadable': ({ name }: { name: string }) =>
    `The value of the header ${name} can't be read with WALHOOK_SECRET_KEY: give it again, or null to remove it.`,
  'header.too_many': ({ count, max }: { count: number; max: number }) =>
    `At most ${max} headers are allowed; these would be ${count}.`,

  'certificate.missing': () => 'Give the certificate of the key as well.',
  'certificate.key_missing': () => 'Give the key of the certificate as well.',
  'certificate.not_pem': () =>
    'This is not a certificate in PEM: it begins with -----BEGIN CERTIFICATE----- and ends with -----END CERTIFICATE-----.',
  'certificate.key_encrypted': () =>
    'The key is encrypted. Give it without a passphrase: openssl pkey -in key.pem -out plain.pem',
  'certificate.key_not_pem': () =>
    'This is not a private key in PEM: it begins with -----BEGIN PRIVATE KEY----- or the name of its kind.',
  'certificate.other_key': () =>
    'The key does not belong to the certificate. In a chain, the certificate of the key comes first.',
  'certificate.expired': ({ at }: { at: string }) =>
    `The certificate expired at ${at}. Give one that is valid.`,
  'certificate.not_yet': ({ at }: { at: string }) =>
    `The certificate is valid only from ${at} on. Give one that is valid now.`,

  'event.not_subscribed': (is: { webhookId: number; trigger: string; eventId: string }) =>
    `Webhook ${is.webhookId} does not have the trigger ${is.trigger}, so event ${is.eventId} is not for its receiver. Give it the trigger, or, as an admin, send {"beyond_triggers": true} as well.`,
  'event.filtered': ({ webhookId, eventId }: { webhookId: number; eventId: string }) =>
    `The filter of webhook ${webhookId} excludes event ${eventId}. An admin can send it anyway, with "beyond_triggers": true.`,
  'event.in_flight': ({ webhookId, eventId }: { webhookId: number; eventId: string }) =>
    `Event ${eventId} is in flight to webhook ${webhookId}. The log will show its outcome.`,
  'replay.beyond_triggers': ({ caller, role }: { caller: string; role: string }) =>
    `Only an admin may send beyond a webhook's triggers; "${caller}" has the role ${role}. Leave beyond_triggers out to send only events that the webhook has triggers for.`,
  'replay.not_subscribed': ({ webhookId, trigger }: { webhookId: number; trigger: string }) =>
    `Webhook ${webhookId} does not have the trigger ${trigger}. Leave it out, give it to the webhook, or, as an admin, send {"beyond_triggers": true} as well.`,
  'replay.trigger_form': ({ trigger }: { trigger: string }) =>
    `${JSON.stringify(trigger)} is not a trigger. Write an entity type and new, update or delete, such as user.new.`,
  'replay.ended': ({ id, state }: { id: number; state: string }) =>
    `Replay ${id} has ended already: its state is ${state}.`,
  'missed.none': ({ webhookId }: { webhookId: number }) =>
    `Webhook ${webhookId} was never inactive, as far as walhook knows.`,
  'missed.sent': ({ webhookId, id }: { webhookId: number; id: number }) =>
    `Replay ${id} has already sent what webhook ${webhookId} missed. To send it again, replay its time range.`,
  'range.order': () => 'to: must be later than from',

  'test.foreign_account': ({ webhookId }: { webhookId: number }) =>
    `Webhook ${webhookId} has no trigger of user, so the data of users is not for its receiver: only an admin may send another user's account. Leave user_id out to send your own.`,
  'test.no_user_entity': () =>
    'There are no user accounts here whose data a test could send. Choose a trigger, and name no account: the test then sends an example of the trigger.',
  'test.no_account': ({ caller }: { caller: string }) =>
    `A test sends the data of your user account, and the token "${caller}" has none. Send {"user_id": …} with the id of an account, or create a token with one (walhook token NAME --user ID; for WALHOOK_ADMIN_TOKEN: WALHOOK_ADMIN_USER).`,
  'test.other_tenant': ({ userId, tenant }: { userId: string; tenant: string }) =>
    `the user account ${userId} does not belong to the tenant ${tenant} of this webhook: name one that does`,
  'test.unknown_account': ({ userId }: { userId: string }) =>
    `There is no user account with the id ${JSON.stringify(userId)}.`,

  'tenant.foreign': () =>
    'this token belongs to a tenant, and so does everything that it creates: leave the field out',
  'tenant.form': ({ max }: { max: number }) =>
    `a tenant is a text of 1 to ${max} characters, written as Postgres writes the value of its column: null for none`,
  'link.no_tenant': () => 'a link needs a tenant: name it',
  'link.path': ({ path }: { path: string }) =>
    `${JSON.stringify(path.slice(0, 200))} is not a page here: write a path such as /couplings`,
  'tenant.kept': () => 'the tenant of a webhook cannot change: create another webhook, and delete this one',
  'token.past': ({ at }: { at: string }) => `${at} is past: the token would never work.`,

  'once.going_on': () =>
    'The first request with this Idempotency-Key is still running. Ask again in a moment for its answer.',
  'once.cut_off': () =>
    'The first request with this Idempotency-Key was cut off, and its outcome is unknown. Check what happened, then use a new key to repeat it.',
  'once.unreadable': () =>
    'The request with this Idempotency-Key was carried out, but its answer was sealed with another WALHOOK_SECRET_KEY. Check what happened, then use a new key to repeat it.',

  'source.away': () =>
    'The source database does not respond, and this call reads its tables. Try again in 10 s.',
  'cell.away': ({ cell }: { cell: string | null }) =>
    cell === null
      ? 'A part of walhook does not respond, and the webhook may be there. Try again in 10 s.'
      : `The cell ${cell} of this webhook does not respond. Its events stay pending, and nothing is lost. Start its database, or try again in 10 s.`,
  'cell.lost': ({ cell }: { cell: string | null }) =>
    cell === null
      ? 'A part of walhook stopped responding during this call: whether it was carried out is unknown. Check before you repeat the call.'
      : `The cell ${cell} stopped responding during this call: whether it was carried out is unknown. Start its database, and check before you repeat the call.`,
  'cell.away_for_file': ({ cell }: { cell: string | null }) =>
    cell === null
      ? 'A part of walhook does not respond, and webhooks of the file may be there. walhook changed nothing. Apply the file again later.'
      : `The cell ${cell} does not respond, and webhooks of the file may be there. walhook changed nothing. Start its database, then apply the file again.`,

  'entity.unknown': (is: { entityType: string; known: readonly string[]; meant: string | null }) =>
    `The mapping has no entity ${JSON.stringify(is.entityType)}. Entities: ${is.known.join(', ')}.${is.meant === null ? '' : ` Did you mean ${is.meant}?`}`,
  'backfill.open': (is: { id: number | null; entityType: string; webhookId: number | null }) =>
    `Backfill ${is.id ?? ''} of ${is.entityType} for ${is.webhookId === null ? 'every webhook' : `webhook ${is.webhookId}`} is running. Wait until it ends, change its pace, or cancel it first.`,
  'backfill.no_receiver': ({ trigger }: { trigger: string }) =>
    `No active webhook has the trigger ${trigger}, so nothing would be sent.`,
  'backfill.not_subscribed': (is: { webhookId: number; trigger: string; other: string | null }) =>
    `Webhook ${is.webhookId} does not have the trigger ${is.trigger}, so nothing would be sent. ${is.other === null ? 'Give it the trigger first.' : `Give it the trigger, or send the rows as ${is.other}.`}`,
  'backfill.ended': ({ id, state }: { id: number; state: string }) =>
    `Backfill ${id} has ended already: its state is ${state}.`,
}
