import type { CaptureCode } from '../capture/capture-code.ts'
import type { MailTexts } from './mail-facts.ts'

const webhooks = (count: number) => (count === 1 ? '1 webhook' : `${count} webhooks`)
const fixes: Record<CaptureCode, string> = {
  'capture.source_unavailable':
    'controleer of de server van DATABASE_URL draait, bereikbaar is, verbindingen vrij heeft en de rol en haar wachtwoord accepteert: walhook check',
  'capture.outbox_unavailable':
    'controleer of de server van OUTBOX_DATABASE_URL (of anders DATABASE_URL) draait, bereikbaar is, verbindingen vrij heeft en de rol en haar wachtwoord accepteert',
  'capture.database_setup':
    'doe op de server wat op de pagina Status staat: walhook check toont wat ontbreekt. Daarna gaat walhook vanzelf verder waar het was, en slaat niets over',
  'capture.timed_out':
    'zoek de oorzaak: een time-out van de database of de rol, een pooler, of pg_terminate_backend',
  'capture.source_problem':
    'doe wat op de pagina Status staat; walhook controleert het elke paar seconden opnieuw. walhook check toont alles in één keer',
  'capture.unasked_message':
    'werk walhook bij. Is dit de nieuwste versie: stop walhook, voer “walhook resync --force --yes” uit en start het weer',
  'capture.cannot_read':
    'doe wat op de pagina Status staat. Helpt dat niet: stop walhook, voer “walhook resync --force --yes” uit en start het weer',
  'capture.cannot_store':
    'doe wat op de pagina Status staat: een trigger of constraint die aan de tabellen van walhook is toegevoegd. Helpt dat niet: stop walhook, voer “walhook resync --force --yes” uit en start het weer',
  'capture.changes_lost': 'stop walhook, voer “walhook resync” uit en start het weer',
  'capture.table_gap':
    'voer voor elk type entiteit dat op de pagina Status staat “walhook resync --entity TYPE” uit; walhook draait intussen door',
  'capture.mapping_lost':
    'maak de tabel of kolom opnieuw aan en voer “walhook resync --entity TYPE” uit, of haal hem uit de mapping (WALHOOK_CONFIG) en herstart walhook',
}
const fixOf = ({ code }: { readonly code: string | null }) => (code ? fixes[code as CaptureCode] : null)

export const mailTextsNl: MailTexts = {
  webhook: (id, name) => `Webhook ${id} (${name})`,
  alerts: {
    'webhook.failing': {
      what: ({ name }) => `${name} heeft een storing`,
      fix: () => 'lees de log van de webhook en herstel daarna de ontvanger',
      many: count => `${webhooks(count)} met een storing`,
    },
    'webhook.recovered': {
      what: ({ name }) => `${name} werkt weer`,
      fix: () => null,
      many: count => `${webhooks(count)} ${count === 1 ? 'werkt' : 'werken'} weer`,
    },
    'webhook.disabled': {
      what: ({ name, isGone }) =>
        `${name} is uitgeschakeld: de ontvanger ${isGone ? 'antwoordde 410 Gone' : 'accepteerde meer dan vijf dagen geen verzoek'}`,
      fix: () => 'herstel de ontvanger en activeer daarna de webhook weer',
      many: count => `${webhooks(count)} uitgeschakeld`,
    },
    'delivery.dead': {
      what: ({ name, count }) =>
        `${name} heeft ${count} ${count === 1 ? 'onbestelbaar event' : 'onbestelbare events'}`,
      fix: () =>
        'herstel de ontvanger en kies daarna “Mislukte opnieuw versturen” op de pagina Log van de webhook',
      many: count => `${webhooks(count)} met onbestelbare events`,
    },
    'capture.lost': {
      what: ({ slot }) => `Er zijn wijzigingen verloren gegaan (slot ${slot})`,
      fix: fixOf,
      many: () => 'wijzigingen verloren gegaan',
    },
    'capture.blocked': {
      what: ({ slot }) => `Het lezen van wijzigingen is geblokkeerd (slot ${slot})`,
      fix: fixOf,
      many: () => 'het lezen is geblokkeerd',
    },
    'capture.lagging': {
      what: ({ slot }) => `Het lezen van wijzigingen loopt achter (slot ${slot})`,
      fix: () =>
        'niets, als de achterstand vanzelf kleiner wordt. Kijk anders op de pagina Status: de bron schrijft sneller dan walhook opslaat, of een database is traag',
      many: () => 'het lezen loopt achter',
    },
  },
  since: at => `Sinds: ${at}`,
  until: at => `Tot: ${at}`,
  line: (what, at) => `${what}, sinds ${at}`,
  lost: (table, reason) => `Verloren: ${table ?? 'wijzigingen van alle tabellen'} (${reason})`,
  fix: what => `Wat je doet: ${what}`,
  one: (alert, incidentId) =>
    `Waarschuwing ${alert}, incident ${incidentId}. walhook stuurt er één e-mail over.`,
  more: count => `en nog ${count}`,
  together: count =>
    `${count} waarschuwingen in één e-mail: na vijf e-mails binnen een uur stuurt walhook er één per tien minuten.`,
  otherWay: 'Wordt daar om een token gevraagd, open Koppelingen dan vanuit je applicatie.',
  stop: url => `Deze e-mails stopzetten: ${url}`,
  confirm: {
    subject: 'Bevestig dit adres voor waarschuwingen',
    who: url =>
      `Iemand die walhook op ${url} gebruikt, wil dat het waarschuwingen over webhooks naar dit adres stuurt.`,
    open: 'Wil je ze krijgen, open dan deze pagina en bevestig het:',
    otherwise:
      'Verwacht je dit niet, doe dan niets: walhook stuurt geen waarschuwingen naar een adres dat niet is bevestigd. Op dezelfde pagina kun je zulke e-mails voorgoed stopzetten.',
  },
}
