import type { FailureTexts } from '../../../domain/failure/failure-texts.ts'

/** Failures of attempts in Dutch. Other programs' messages are quoted. */
export const failuresNl: FailureTexts = {
  'answer.not_modified': () =>
    'De ontvanger antwoordde 304 Not Modified: dat is voor verzoeken met een voorwaarde, en walhook stuurt die niet. Hij moet een POST met een status als 204 beantwoorden.',
  'answer.redirect': ({ status }) =>
    `De ontvanger antwoordde ${status} (doorverwijzing), zonder ander adres (Location). walhook volgt geen doorverwijzingen: controleer de URL van de webhook.`,
  'answer.redirect_to': ({ status, location }) =>
    `De ontvanger antwoordde ${status} en verwijst door naar ${location}. walhook volgt geen doorverwijzingen: gebruik het uiteindelijke adres als URL van de webhook.`,
  'answer.gone': () =>
    'De ontvanger antwoordde 410 Gone: hij wil geen verzoeken meer, dus de webhook is uitgeschakeld.',
  'answer.too_many': () => 'De ontvanger antwoordde 429: hij vraagt om minder verzoeken.',
  'answer.rejected': ({ status }) =>
    `De ontvanger antwoordde ${status}: hij accepteerde het verzoek niet. Kijk na of hij met het geheim van deze webhook controleert, over precies de bytes van de inhoud.`,
  'answer.not_found': ({ status }) =>
    `De ontvanger antwoordde ${status}: hij accepteert geen POST op dit adres. Controleer het pad van de URL.`,
  'answer.status': ({ status }) =>
    `De ontvanger antwoordde ${status}. Alleen 200 tot en met 299 telt als ontvangen.`,
  'answer.late': ({ seconds }) =>
    `De ontvanger gaf binnen ${seconds} s geen volledig antwoord. Laat hem eerst antwoorden en daarna het werk doen.`,
  'answer.cut': () => 'De ontvanger verbrak de verbinding midden in zijn antwoord.',
  'answer.continue': () =>
    'De ontvanger antwoordde 100 Continue: dat is voor verzoeken met “Expect”, en walhook stuurt die niet. Hij moet met een definitieve status antwoorden, zoals 204.',
  'answer.upgrade': () =>
    'De ontvanger antwoordde 101 Switching Protocols: dat is voor verzoeken met “Upgrade”, en walhook stuurt die niet. Hij moet met een definitieve status antwoorden, zoals 204.',
  'answer.headers': () => 'De headers van het antwoord zijn te groot.',
  'answer.invalid': ({ message }) => `Het antwoord is geen geldig HTTP: ${message}.`,
  'dns.unknown': () => 'DNS kent de hostnaam niet. Controleer de spelling van de URL.',
  'dns.failed': () => 'DNS gaf geen antwoord voor deze host. walhook probeert het opnieuw.',
  'dns.no_address': () => 'De hostnaam heeft geen adres in DNS.',
  'connection.refused': () => 'Op dit adres en deze poort luistert geen server. Draait de ontvanger?',
  'connection.closed': () => 'De ontvanger verbrak de verbinding voordat hij antwoordde.',
  'connection.closed_bare': () =>
    'De ontvanger verbrak de verbinding voordat hij antwoordde. Misschien vereist hij een clientcertificaat (mutual TLS): geef deze webhook er een, of zet dat daar uit.',
  'connection.late': () => 'De ontvanger accepteerde de verbinding niet op tijd.',
  'connection.failed': ({ message }) => `De verbinding mislukte: ${message}.`,
  'route.host': () => 'Er is geen route naar deze host.',
  'route.network': () => 'Er is geen route naar dit netwerk.',
  'proxy.unreachable': ({ message }) =>
    `De uitgaande proxy is niet bereikbaar: ${message}. Controleer WALHOOK_PROXY, en wat de proxy toestaat.`,
  'proxy.closed': () =>
    'De uitgaande proxy verbrak de verbinding zonder antwoord. Controleer WALHOOK_PROXY, en wat de proxy toestaat.',
  'proxy.not_http': () =>
    'Het antwoord van de uitgaande proxy is geen HTTP. Controleer WALHOOK_PROXY, en wat de proxy toestaat.',
  'proxy.login': () =>
    'De uitgaande proxy weigerde gebruiker of wachtwoord (407). Controleer WALHOOK_PROXY, en wat de proxy toestaat.',
  'proxy.status': ({ status, target }) =>
    `De uitgaande proxy antwoordde ${status} op de vraag naar ${target}. Controleer WALHOOK_PROXY, en wat de proxy toestaat.`,
  'proxy.more': () =>
    'De uitgaande proxy stuurt meer dan een antwoord. Controleer WALHOOK_PROXY, en wat de proxy toestaat.',
  'tls.certificate_wanted': () =>
    'De ontvanger vereist een clientcertificaat (mutual TLS). Geef deze webhook er een, of zet dat daar uit.',
  'tls.none': () => 'De server op deze poort spreekt geen TLS. Controleer de poort in de URL.',
  'tls.expired': () => 'Het certificaat van de ontvanger is verlopen. De ontvanger moet het vernieuwen.',
  'tls.self_signed': () =>
    'Het certificaat van de ontvanger is zelfondertekend. De ontvanger heeft er een van een openbare autoriteit nodig.',
  'tls.chain_self_signed': () =>
    'De certificaatketen van de ontvanger is zelfondertekend. De ontvanger heeft een certificaat van een openbare autoriteit nodig.',
  'tls.no_intermediates': () => 'De ontvanger stuurt zijn tussencertificaten niet mee.',
  'tls.unknown_authority': () => 'Het certificaat van de ontvanger komt van een onbekende autoriteit.',
  'tls.other_name': () => 'Het certificaat van de ontvanger is voor een andere hostnaam.',
  'unsent.secret': () => 'Niet verstuurd: walhook kan het geheim niet lezen met deze WALHOOK_SECRET_KEY.',
  'unsent.headers': () =>
    'Niet verstuurd: walhook kan de eigen headers niet lezen met deze WALHOOK_SECRET_KEY.',
  'unsent.certificate': () =>
    'Niet verstuurd: walhook kan het clientcertificaat niet lezen met deze WALHOOK_SECRET_KEY.',
  'tls.failed': ({ message }) => `Geen beveiligde verbinding: ${message}.`,
  'disabled.failed_too_long': ({ since, days }) =>
    `De ontvanger heeft sinds ${since}, meer dan ${days} dagen lang, geen verzoek geaccepteerd (tijd waarin walhook niets probeerde, telt niet mee). Daarom is de webhook uitgeschakeld. Activeer hem weer zodra de ontvanger werkt.`,
}
