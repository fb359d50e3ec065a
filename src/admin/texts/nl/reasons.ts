import type { ReasonTexts } from '../../../domain/shown/reason.ts'
import type { AddressKind } from '../../../domain/shown/reason-texts.ts'

const addressKinds: Record<AddressKind, string> = {
  this_network: 'een adres van “dit netwerk”',
  private: 'een privéadres',
  carrier_nat: 'een adres van carrier-grade NAT',
  loopback: 'een loopback-adres',
  link_local: 'een link-local adres',
  protocols: 'een adres dat voor protocollen is gereserveerd',
  documentation: 'een adres voor documentatie',
  relay_6to4: 'een 6to4-relayadres',
  benchmarking: 'een adres voor benchmarks',
  multicast: 'een multicast-adres',
  broadcast: 'het broadcast-adres',
  reserved: 'een gereserveerd adres',
  unspecified: 'het niet-gespecificeerde adres',
  ipv4_mapped: 'een IPv4-mapped adres',
  ipv4_translated: 'een IPv4-translated adres',
  ipv4_compatible: 'een IPv4-compatible adres',
  nat64: 'een NAT64-adres',
  discard_only: 'een discard-only adres',
  dummy: 'een dummy-adres',
  teredo: 'een Teredo-adres',
  '6to4': 'een 6to4-adres',
  segment_routing: 'een adres voor segment routing',
  unique_local: 'een privéadres (unique local)',
  site_local: 'een site-local adres',
  not_public: 'geen openbaar adres',
}

export const reasonsNl: ReasonTexts = {
  'url.too_long': ({ characters, max }) => `De URL heeft ${characters} tekens: hooguit ${max} is toegestaan.`,
  'url.space': () => 'De URL bevat een spatie of stuurteken: haal het weg, of schrijf een spatie als %20.',
  'url.incomplete': () => 'Dit is geen volledige URL: schrijf hem als https://host/pad.',
  'url.scheme': () => 'De URL moet met https:// beginnen.',
  'url.login': () =>
    'De URL mag geen gebruikersnaam of wachtwoord bevatten: stuur inloggegevens mee in een header.',
  'url.fragment': () => 'De URL mag geen fragment bevatten: haal de # en alles erachter weg.',
  'url.port_0': () => 'De URL mag poort 0 niet noemen: daar kan geen server luisteren.',
  'url.host': () => 'De host van de URL is geen geldige hostnaam.',
  'url.http': ({ host }) =>
    `http:// is niet toegestaan voor ${host}: gebruik https://, of voeg ${host} toe aan WALHOOK_ALLOW_TARGETS.`,
  'url.http_name': ({ host }) =>
    `http:// is niet toegestaan voor ${host}: gebruik https://, of voeg ${host} bij naam toe aan WALHOOK_ALLOW_TARGETS (een reeks adressen is niet genoeg).`,
  'url.unresolved': ({ host, code }) =>
    `${host} heeft geen adres (${code}): controleer de spelling en of de naam in DNS bestaat.`,
  'url.dns_failed': ({ host, code }) =>
    `${host} kon nu niet worden opgezocht (${code}): de DNS-server had een storing. Probeer het zo opnieuw.`,
  'url.dns_late': ({ host }) =>
    `${host} kon niet op tijd worden opgezocht: de DNS-server antwoordde niet. Probeer het opnieuw.`,
  'address.none': ({ text }) => `${JSON.stringify(text)} is geen IP-adres.`,
  'address.denied': ({ target }) =>
    `WALHOOK_DENY_TARGETS verbiedt ${target} voor webhooks, en gaat voor WALHOOK_ALLOW_TARGETS. Kies een ander doel, of haal het daar weg.`,
  'address.metadata': ({ address, range }) =>
    `${address} is een metadata-adres van een cloud (${range}); webhooks mogen daar niet heen. Zet precies ${address} in WALHOOK_ALLOW_TARGETS om het toe te staan (een reeks of hostnaam is niet genoeg).`,
  'address.special': ({ address, kind, range }) =>
    `${address} is ${addressKinds[kind]} (${range}); webhooks mogen daar niet heen. Voeg ${address} toe aan WALHOOK_ALLOW_TARGETS om het toe te staan.`,
  'address.own': ({ address }) =>
    `${address} is een adres van deze machine of van een netwerk ervan; webhooks mogen daar niet heen. Voeg ${address} toe aan WALHOOK_ALLOW_TARGETS om het toe te staan.`,
  'address.resolved': ({ host, because }, sentenceOf) =>
    `${host} verwijst naar een adres dat niet is toegestaan: ${sentenceOf(because)}`,

  'webhook.trigger_unknown': ({ trigger, known }) =>
    `${JSON.stringify(trigger)} is geen trigger. Triggers: ${known.join(', ')}.`,
  'webhook.managed': ({ webhookId, source }) =>
    `Webhook ${webhookId} wordt als code beheerd, in ${source}: de volgende walhook apply overschrijft je wijziging. Wijzig hem daar, of neem het beheer over op de pagina van de webhook.`,
  'webhook.managed_elsewhere': ({ name, source }) =>
    `${JSON.stringify(name)} wordt beheerd door ${source}. Haal hem uit een van de twee bestanden, of gebruik --force om hem hier te beheren`,
  'webhook.same_name': ({ name, ids }) =>
    `Webhooks ${ids} hebben dezelfde naam, ${JSON.stringify(name)}: geef ze elk een eigen naam`,
  'webhook.bad_secret': () =>
    'geen geldig geheim: schrijf whsec_ en 24 tot 64 willekeurige bytes in Base64, of laat het weg, dan maakt walhook er een aan',
  'webhook.no_such_field': ({ field, meant }) =>
    `er is geen veld ${JSON.stringify(field)}${meant === null ? '' : `. Bedoel je ${meant}?`}`,
  'webhook.field_value': ({ field, why }) => `veld ${field}: ${why}`,
  'apply.changed_meanwhile': ({ name }) =>
    `Iemand heeft ${JSON.stringify(name)} intussen gewijzigd. Er is niets gewijzigd. Pas het bestand opnieuw toe.`,
  'recipient.stopped': () =>
    'De eigenaar van dit adres heeft deze e-mails stopgezet. Alleen de eigenaar kan ze weer aanzetten, met de link in een eerdere e-mail.',
  'recipient.asked': ({ minutes }) =>
    `walhook stuurde dit adres minder dan ${minutes} minuten geleden een e-mail. Vraag de eigenaar om ernaar te zoeken, ook bij de spam.`,
  'mail.smtp_server': () =>
    'walhook stuurt nu geen e-mails: de beheerder van walhook moet WALHOOK_SMTP_URL en WALHOOK_MAIL_FROM instellen.',
  'mail.public_url': () =>
    'walhook kan nieuwe adressen nu niet om bevestiging vragen: de beheerder van walhook moet WALHOOK_URL instellen.',
  'recipient.smtp_server': () =>
    'walhook kan de e-mail die het de eigenaar vraagt niet sturen: geen proces heeft een mailserver. De beheerder van walhook moet WALHOOK_SMTP_URL en WALHOOK_MAIL_FROM instellen. Daarna vraagt walhook het vanzelf.',
  'recipient.public_url': () =>
    'walhook kan de e-mail die het de eigenaar vraagt niet sturen: de link daarin heeft de publieke URL van walhook nodig. De beheerder van walhook moet WALHOOK_URL instellen. Daarna vraagt walhook het vanzelf.',
  'recipient.daily_limit': () =>
    'walhook heeft vandaag zoveel van deze e-mails gestuurd als het mag, voor één organisatie of naar dit adres. Het vraagt het de eigenaar morgen, vanzelf.',
  'webhook.mail_address': ({ address }) =>
    `${JSON.stringify(address)} is geen e-mailadres: schrijf het als beheer@example.com`,
  'webhook.field_meant': ({ field, meant }) => `${JSON.stringify(field)} is geen veld. Bedoel je ${meant}?`,
  'webhook.field_of_entity': ({ field, fields }) =>
    `${JSON.stringify(field)} is geen veld. De velden zijn ${fields.join(', ')}.`,
  'webhook.field_form': ({ field, example }) =>
    `${JSON.stringify(field)} is geen veld. Schrijf een entiteit en een veld, zoals ${example}.`,
  'filter.no_value': ({ field }) =>
    `De lijst van ${field} is leeg: geen entiteit zou overeenkomen. Noem minstens één waarde, of laat het veld weg.`,
  'filter.number': ({ value }) =>
    `${value} heeft meer cijfers dan een JSON-getal precies bewaart (15, of hele getallen tot en met 9007199254740991). Filter op een ander veld.`,
  'filter.long': ({ characters, max }) =>
    `De waarde heeft ${characters} tekens: hooguit ${max} is toegestaan.`,
  'filter.text': () =>
    'De waarde bevat een NUL-teken of een half teken, en dat kan in geen tekst van Postgres staan. Laat het teken weg.',
  'filter.needs_trigger': ({ form, known }) =>
    `De webhook heeft geen trigger voor ${JSON.stringify(form)}. Voeg ${known.join(' of ')} toe, of kies een andere vorm.`,
  'webhook.inactive': ({ webhookId }) =>
    `Webhook ${webhookId} is inactief, dus er zou niets worden verstuurd. Activeer hem eerst.`,
  'webhook.disabled': ({ webhookId }) =>
    `Webhook ${webhookId} is uitgeschakeld, dus er zou niets worden verstuurd. Activeer hem eerst weer.`,
  'webhook.secret_unreadable': ({ webhookId }) =>
    `Het geheim van webhook ${webhookId} kan niet worden gelezen: het is met een andere WALHOOK_SECRET_KEY versleuteld. Is die sleutel kwijt, maak dan een nieuw geheim.`,
  'webhook.missing': ({ webhookId }) => `Webhook ${webhookId} bestaat niet.`,

  'header.long_name': ({ name, max }) => `De naam van header ${name} is langer dan ${max} tekens.`,
  'header.bad_name': ({ name }) =>
    `De naam van header ${name} is ongeldig: gebruik letters, cijfers en !#$%&'*+-.^_\`|~.`,
  'header.reserved': ({ name }) => `Header ${name} is gereserveerd voor walhook of HTTP: laat hem weg.`,
  'header.nothing_kept': ({ name, redacted }) =>
    `Header ${name} heeft nog geen waarde om te behouden: vul een waarde in, in plaats van ${redacted}.`,
  'header.long_value': ({ name, characters, max }) =>
    `De waarde van header ${name} heeft ${characters} tekens: hooguit ${max} is toegestaan.`,
  'header.bad_value': ({ name }) =>
    `De waarde van header ${name} is ongeldig: gebruik zichtbare ASCII-tekens, spaties alleen ertussen, en geen regeleinden.`,
  'header.twice': ({ name }) => `Header ${name} staat er twee keer.`,
  'header.unreadable': ({ name }) =>
    `De waarde van header ${name} is met deze WALHOOK_SECRET_KEY niet te lezen: vul hem opnieuw in, of verwijder de header.`,
  'header.too_many': ({ count, max }) => `Hooguit ${max} headers zijn toegestaan; dit zijn er ${count}.`,

  'certificate.missing': () => 'Vul ook het certificaat van de sleutel in.',
  'certificate.key_missing': () => 'Vul ook de sleutel van het certificaat in.',
  'certificate.not_pem': () =>
    'Dit is geen certificaat in PEM: dat begint met -----BEGIN CERTIFICATE----- en eindigt met -----END CERTIFICATE-----.',
  'certificate.key_encrypted': () =>
    'De sleutel is versleuteld. Vul hem zonder wachtwoord in: openssl pkey -in key.pem -out plain.pem',
  'certificate.key_not_pem': () =>
    'Dit is geen privésleutel in PEM: die begint met -----BEGIN PRIVATE KEY----- of de naam van zijn soort.',
  'certificate.other_key': () =>
    'De sleutel hoort niet bij het certificaat. Zet in een keten het certificaat van de sleutel voorop.',
  'certificate.expired': ({ at }) => `Het certificaat is verlopen op ${at}. Vul een geldig certificaat in.`,
  'certificate.not_yet': ({ at }) =>
    `Het certificaat is pas geldig vanaf ${at}. Vul een certificaat in dat nu geldig is.`,

  'event.not_subscribed': ({ webhookId, trigger, eventId }) =>
    `Webhook ${webhookId} heeft de trigger ${trigger} niet, dus event ${eventId} is niet voor de ontvanger bedoeld. Geef de webhook de trigger, of laat een beheerder het event toch versturen.`,
  'event.filtered': ({ webhookId, eventId }) =>
    `Het filter van webhook ${webhookId} sluit event ${eventId} uit. Een beheerder kan het toch versturen.`,
  'event.in_flight': ({ webhookId, eventId }) =>
    `Event ${eventId} is onderweg naar webhook ${webhookId}. Het resultaat komt in de log.`,
  'replay.beyond_triggers': ({ caller }) =>
    `Alleen een beheerder mag meer versturen dan de triggers van een webhook; “${caller}” is dat niet.`,
  'replay.not_subscribed': ({ webhookId, trigger }) =>
    `Webhook ${webhookId} heeft de trigger ${trigger} niet. Laat hem weg, of geef hem aan de webhook.`,
  'replay.trigger_form': ({ trigger }) =>
    `${JSON.stringify(trigger)} is geen trigger. Schrijf een entiteit en new, update of delete, zoals user.new.`,
  'replay.ended': ({ id, state }) => `Herhaling ${id} is al afgelopen: de status is ${state}.`,
  'missed.none': ({ webhookId }) => `Webhook ${webhookId} is, voor zover bekend, nooit inactief geweest.`,
  'missed.sent': ({ webhookId, id }) =>
    `Herhaling ${id} heeft al verstuurd wat webhook ${webhookId} miste. Herhaal de periode om dat nog eens te doen.`,
  'range.order': () => 'Het einde moet na het begin liggen.',

  'test.foreign_account': ({ webhookId }) =>
    `Webhook ${webhookId} heeft geen trigger van gebruikers, dus hun gegevens zijn niet voor de ontvanger bedoeld: alleen een beheerder mag het account van een ander versturen. Laat het id leeg om je eigen account te versturen.`,
  'test.no_user_entity': () =>
    'Er zijn hier geen gebruikersaccounts waarvan een test de gegevens kan versturen. Kies een trigger en noem geen account: de test verstuurt dan een voorbeeld van de trigger.',
  'test.no_account': ({ caller }) =>
    `Een test verstuurt de gegevens van je gebruikersaccount, en bij het token “${caller}” hoort er geen. Vul het id van een account in.`,
  'test.other_tenant': ({ userId, tenant }) =>
    `gebruikersaccount ${userId} hoort niet bij organisatie ${tenant} van deze webhook: kies een ander account`,
  'test.unknown_account': ({ userId }) =>
    `Er is geen gebruikersaccount met het id ${JSON.stringify(userId)}.`,

  'tenant.foreign': () =>
    'dit token hoort bij een organisatie, en alles wat het maakt ook: laat het veld weg',
  'tenant.form': ({ max }) =>
    `een organisatie is een tekst van 1 tot ${max} tekens, zoals Postgres de waarde van haar kolom schrijft; laat leeg voor geen`,
  'link.no_tenant': () => 'een link is voor een organisatie: noem haar',
  'link.path': ({ path }) =>
    `${JSON.stringify(path.slice(0, 200))} is hier geen pagina: schrijf een pad zoals /couplings`,
  'tenant.kept': () =>
    'Je kunt de organisatie van een webhook niet wijzigen: maak een andere webhook aan en verwijder deze',
  'token.past': ({ at }) => `${at} is voorbij: het token zou nooit werken.`,

  'source.away': () =>
    'De brondatabase antwoordt niet, en haar tabellen zijn hier nodig. Probeer het over 10 s opnieuw.',
  'cell.away': ({ cell }) =>
    cell === null
      ? 'Een deel van walhook antwoordt niet, en daar kan deze webhook staan. Probeer het over 10 s opnieuw.'
      : `De cel ${cell} van deze webhook antwoordt niet. De events blijven in de wachtrij, en er gaat niets verloren. Start de database van de cel, of probeer het over 10 s opnieuw.`,
  'cell.lost': ({ cell }) =>
    cell === null
      ? 'Een deel van walhook antwoordde halverwege niet meer: of de opdracht is uitgevoerd, is onbekend. Kijk na wat er is gebeurd voordat je het opnieuw doet.'
      : `De cel ${cell} antwoordde halverwege niet meer: of de opdracht is uitgevoerd, is onbekend. Start de database van de cel, en kijk na wat er is gebeurd voordat je het opnieuw doet.`,
  'cell.away_for_file': ({ cell }) =>
    cell === null
      ? 'Een deel van walhook antwoordt niet, en webhooks uit het bestand kunnen daar staan. Er is niets gewijzigd. Pas het bestand later opnieuw toe.'
      : `De cel ${cell} antwoordt niet, en webhooks uit het bestand kunnen daar staan. Er is niets gewijzigd. Start de database van de cel en pas het bestand daarna opnieuw toe.`,

  'once.going_on': () => 'Het eerste verzoek met dit formulier loopt nog. Laad de pagina zo opnieuw.',
  'once.cut_off': () =>
    'Het eerste verzoek met dit formulier is afgebroken, en het resultaat is onbekend. Kijk na wat er is gebeurd, en laad de pagina opnieuw om het te herhalen.',
  'once.unreadable': () =>
    'Het verzoek met dit formulier is uitgevoerd, maar het antwoord is met een andere WALHOOK_SECRET_KEY versleuteld. Kijk na wat er is gebeurd, en laad de pagina opnieuw om het te herhalen.',

  'entity.unknown': ({ entityType, known, meant }) =>
    `De mapping heeft geen entiteit ${JSON.stringify(entityType)}. Entiteiten: ${known.join(', ')}.${meant === null ? '' : ` Bedoel je ${meant}?`}`,
  'backfill.open': ({ id, entityType, webhookId }) =>
    `Backfill ${id ?? ''} van ${entityType} voor ${webhookId === null ? 'elke webhook' : `webhook ${webhookId}`} loopt nog. Wacht tot hij klaar is, wijzig het tempo, of annuleer hem eerst.`,
  'backfill.no_receiver': ({ trigger }) =>
    `Geen actieve webhook heeft de trigger ${trigger}, dus er zou niets worden verstuurd.`,
  'backfill.not_subscribed': ({ webhookId, trigger, other }) =>
    `Webhook ${webhookId} heeft de trigger ${trigger} niet, dus er zou niets worden verstuurd. ${other === null ? 'Geef hem eerst de trigger.' : `Geef hem de trigger, of verstuur de rijen als ${other}.`}`,
  'backfill.ended': ({ id, state }) => `Backfill ${id} is al afgelopen: de status is ${state}.`,
}
