import type { FailureTexts } from '../../../domain/failure/failure-texts.ts'

/** Failures of attempts in Dutch. Other programs' messages are quoted. */
export const failuresNl: FailureTexts = {
  'answer.not_modified': () =>
    'De ontvanger antwoordde 304 Not Modified: dat is voor verzoeken met een voorwaarde, en walhook stuurt die niet. Een POST moet een status als 204 krijgen.',
  'answer.redirect': ({ status }) =>
    `De ontvanger antwoordde ${status} (doorverwijzing), zonder ander adres (Location). Doorverwijzingen worden nooit gevolgd: controleer de URL van de webhook.`,
  'answer.redirect_to': ({ status, location }) =>
    `De ontvanger antwoordde ${status} en verwijst door naar ${location}. Doorverwijzingen worden nooit gevolgd: zet het uiteindelijke adres als URL van de webhook.`,
  'answer.gone': () =>
    'De ontvanger antwoordde 410 Gone: hij wil geen verzoeken meer, dus de webhook is uitgeschakeld.',
  'answer.too_many': () => 'De ontvanger antwoordde 429: hij vraagt om minder verzoeken.',
  'answer.rejected': ({ status }) =>
    `De ontvanger antwoordde ${status}: hij accepteerde het verzoek niet. Controleer of hij met het geheim van deze webhook controleert, over precies de bytes van de body.`,
  'answer.not_found': ({ status }) =>
    `De ontvanger antwoordde ${status}: niets neemt op dit adres een POST aan. Controleer het pad van de URL.`,
  'answer.status': ({ status }) =>
    `De ontvanger antwoordde ${status}. Alles behalve 200 tot en met 299 telt als niet ontvangen.`,
  'answer.late': ({ seconds }) =>
    `De ontvanger gaf binnen ${seconds} s geen volledig antwoord. Laat hem eerst antwoorden, en daarna werken.`,
  'answer.cut': () =>
    'De ontvanger verbrak de verbinding midden in zijn antwoord; niemand weet of dat alles was.',
  'answer.continue': () =>
    'De ontvanger antwoordde 100 Continue: dat is voor verzoeken met “Expect”, en walhook stuurt die niet. Hij moet met een definitieve status antwoorden, zoals 204.',
  'answer.upgrade': () =>
    'De ontvanger antwoordde 101 Switching Protocols: dat is voor verzoeken met “Upgrade”, en walhook stuurt die niet. Hij moet met een definitieve status antwoorden, zoals 204.',
  'answer.headers': () => 'De headers van het antwoord zijn te groot.',
  'answer.invalid': ({ message }) => `Het antwoord is geen geldige HTTP: ${message}.`,
  'dns.unknown': () => 'DNS kent de naam van de host niet. Controleer de spelling van de URL.',
  'dns.failed': () => 'DNS gaf geen antwoord voor deze host. Er volgt een nieuwe poging.',
  'dns.no_address': () => 'De naam van de host heeft geen adres in DNS.',
  'connection.refused': () => 'Op dit adres en deze poort luistert niets. Draait de ontvanger?',
  'connection.closed': () => 'De ontvanger verbrak de verbinding voordat hij had geantwoord.',
  'connection.closed_bare': () =>
    'De ontvanger verbrak de verbinding voordat hij had geantwoord. Misschien wil hij een clientcertificaat (mutual TLS): geef deze webhook er een, of zet dat daar uit.',
  'connection.late': () => 'De ontvanger nam de verbinding niet op tijd aan.',
  'connection.failed': ({ message }) => `De verbinding mislukte: ${message}.`,
  'route.host': () => 'Geen route leidt naar deze host.',
  'route.network': () => 'Geen route leidt naar dit netwerk.',
  'proxy.unreachable': ({ message }) =>
    `De uitgaande proxy is niet bereikbaar: ${message}. Controleer WALHOOK_PROXY, en wat de proxy toestaat.`,
  'proxy.closed': () =>
    'De uitgaande proxy verbrak de verbinding zonder antwoord. Controleer WALHOOK_PROXY, en wat de proxy toestaat.',
  'proxy.not_http': () =>
    'Wat de uitgaande proxy antwoordt, is geen HTTP. Controleer WALHOOK_PROXY, en wat de proxy toestaat.',
  'proxy.login': () =>
    'De uitgaande proxy vraagt een andere gebruiker of een ander wachtwoord (407). Controleer WALHOOK_PROXY, en wat de proxy toestaat.',
  'proxy.status': ({ status, target }) =>
    `De uitgaande proxy antwoordde ${status} toen naar ${target} werd gevraagd. Controleer WALHOOK_PROXY, en wat de proxy toestaat.`,
  'proxy.more': () =>
    'De uitgaande proxy stuurt meer dan zijn antwoord. Controleer WALHOOK_PROXY, en wat de proxy toestaat.',
  'tls.certificate_wanted': () =>
    'De ontvanger wil een clientcertificaat (mutual TLS). Geef deze webhook er een, of zet dat daar uit.',
  'tls.none': () => 'Wat op deze poort antwoordt, spreekt geen TLS. Controleer de poort van de URL.',
  'tls.expired': () => 'Het certificaat van de ontvanger is verlopen. Het moet daar worden vernieuwd.',
  'tls.self_signed': () =>
    'Het certificaat van de ontvanger is door hemzelf ondertekend; gebruik er een van een openbare autoriteit.',
  'tls.chain_self_signed': () =>
    'De certificaatketen van de ontvanger is door hemzelf ondertekend; gebruik een certificaat van een openbare autoriteit.',
  'tls.no_intermediates': () => 'De ontvanger stuurt zijn tussencertificaten niet mee.',
  'tls.unknown_authority': () => 'Het certificaat van de ontvanger komt van een onbekende autoriteit.',
  'tls.other_name': () => 'Het certificaat van de ontvanger is voor een andere hostnaam.',
  'unsent.secret': () =>
    'Niet verstuurd: het ondertekengeheim kan met deze WALHOOK_SECRET_KEY niet worden gelezen.',
  'unsent.headers': () =>
    'Niet verstuurd: de eigen headers kunnen met deze WALHOOK_SECRET_KEY niet worden gelezen.',
  'unsent.certificate': () =>
    'Niet verstuurd: het clientcertificaat kan met deze WALHOOK_SECRET_KEY niet worden gelezen.',
  'tls.failed': ({ message }) => `Geen beveiligde verbinding: ${message}.`,
  'disabled.failed_too_long': ({ since, days }) =>
    `Sinds ${since} is geen verzoek geaccepteerd, meer dan ${days} dagen lang (tijd waarin walhook niets probeerde telt niet mee). Daarom is de webhook uitgeschakeld. Activeer hem weer zodra de ontvanger het doet.`,
}
