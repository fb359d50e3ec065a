import { counter } from '../counter.ts'
import type { log as english } from '../en/log.ts'
import { seconds } from './counts.ts'

export const log: typeof english = {
  test: {
    title: 'Webhook testen',
    what: url => `Stuurt een verzoek met de actie “test” naar ${url}, net als elke andere aflevering.`,
    userId: 'Gebruikersaccount',
    ownAccount: id => `${id} (van jezelf)`,
    noOwnAccount: 'Id van een gebruiker',
    userIdHint:
      'De test verstuurt de gegevens van dit account. Vul een ander id in om de gegevens van die gebruiker te versturen.',
    example: 'De test verstuurt een voorbeeld van de eerste trigger.',
    userIdNeeded:
      'Je token heeft geen gebruikersaccount. Vul het id in van de gebruiker van wie je de gegevens verstuurt.',
    send: 'Webhook testen',
    busy: wait =>
      `Er lopen te veel tests tegelijk. Er is niets verstuurd. Probeer het over ${seconds(wait)} opnieuw.`,
  },
  log: {
    title: 'Log',
    columns: {
      time: 'Tijd',
      event: 'Event',
      trigger: 'Aanleiding',
      outcome: 'Resultaat',
      duration: 'Duur',
      attempt: 'Poging',
      next: 'Volgende poging',
    },
    triggers: { schedule: 'Wijziging', manual: 'Handmatig', test: 'Test' },
    batch: counter('nl', { one: '# event in een batch', other: '# events in één verzoek' }),
    attemptOf: (number, max) => `${number} van ${max}`,
    noFurtherTry: 'geen',
    waitsForWebhook: 'zodra de webhook weer actief is',
    waiting: count => `In de wachtrij: ${count}.`,
    older: 'Ouder',
    newest: 'Nieuwste',
    empty: {
      title: 'Er is nog niets naar deze webhook verstuurd',
      what: 'Elk verzoek verschijnt hier zodra het is verstuurd, met het antwoord. Zo krijg je er een te zien:',
      test: 'Verstuur een test: die gaat meteen naar deze webhook, met de gegevens van een gebruikersaccount.',
      change:
        'Wijzig in je applicatie iets waarvoor deze webhook een trigger heeft, bijvoorbeeld een gebruiker.',
      changeInactive:
        'Activeer de webhook en wijzig dan iets waarvoor hij een trigger heeft, bijvoorbeeld een gebruiker.',
      button: 'Webhook testen',
    },
    noneFits: 'Geen enkel verzoek past bij het filter.',
    noneOlder: 'Oudere verzoeken worden niet meer bewaard.',
    filter: 'Filter',
    filterHint: 'Op resultaat, aanleiding, entiteit en tijd',
    outcome: 'Resultaat',
    any: 'Alles',
    failed: 'Alles wat mislukte',
    trigger: 'Aanleiding',
    entityType: 'Entiteit',
    entityId: 'Id van de entiteit',
    from: 'Vanaf',
    to: 'Voor',
    utc: 'UTC',
    apply: 'Toepassen',
    clear: 'Wissen',
    wrong: {
      entity: 'Kies het type entiteit en vul het id in, of laat beide leeg.',
      id: 'Een id heeft hooguit 1.024 tekens.',
      time: 'Gebruik een datum en tijd van 1970 tot en met 2199.',
      order: 'Het einde moet na het begin liggen.',
      choice: 'Kies iets uit de lijst.',
    },
    ownPage: 'Als pagina openen',
    close: 'Sluiten',
    request: 'Verzoek',
    previousAttempt: 'Vorige poging',
    nextAttempt: 'Volgende poging',
    attempts: 'Pogingen van dit event',
    eventPage: 'Afleveringen van dit event',
    events: 'Events in dit verzoek',
    sentAt: 'Verstuurd op',
    messageId: 'webhook-id',
    curl: 'Kopiëren als curl',
    curlHint:
      'Verstuurt hetzelfde verzoek opnieuw vanaf je eigen computer. De handtekening houdt haar tijd: een ontvanger die daarop controleert, weigert het verzoek na vijf minuten.',
    curlRedacted: 'Vervang elke [redacted] door de verborgen waarde.',
    resend: 'Opnieuw versturen',
    resendHint: 'Met hetzelfde webhook-id en in dezelfde volgorde, opnieuw vanaf poging 1.',
    resendBatch: 'Deze events opnieuw versturen',
    notKept: 'Dit event wordt niet meer bewaard en kan dus niet opnieuw worden verstuurd.',
    resendInactive: 'Activeer de webhook om dit opnieuw te versturen.',
    testAgain: 'Nog een test versturen',
  },
  queue: {
    moreThan: count => `meer dan ${count}`,
    resend: 'Mislukte opnieuw versturen',
    resendWhat:
      'Verstuurt elk event opnieuw dat in deze periode mislukte en nog niet is afgeleverd: onbestelbare events, en events waarvoor nog een poging volgt, zonder daarop te wachten. Events van dezelfde entiteit blijven op volgorde.',
    since: 'Mislukt in',
    sinces: { day: 'De afgelopen 24 uur', week: 'De afgelopen 7 dagen', all: 'De hele log' },
    failedCount: count => `Events om opnieuw te versturen: ${count}.`,
    failedNone: 'In deze periode zijn er geen mislukte events die nog niet zijn afgeleverd.',
    resendNow: 'Nu opnieuw versturen',
    cancel: 'Wachtrij annuleren',
    cancelWhat:
      'walhook verstuurt de events in de wachtrij van deze webhook dan niet meer. Events die onderweg zijn en latere events gaan gewoon door. Je kunt elk event later opnieuw versturen.',
    cancelCount: count => `In de wachtrij of onderweg: ${count}.`,
    cancelNone: 'De wachtrij van deze webhook is leeg.',
    cancelNow: 'Deze events annuleren',
    back: 'Terug naar de log',
    resent: count => `walhook verstuurt opnieuw: ${count}.`,
    cancelled: count => `Geannuleerd: ${count}.`,
    more: 'Er zijn nog meer events. Ga door met de rest.',
    goOn: 'Doorgaan',
  },
  events: {
    byId: 'Event-id of webhook-id',
    event: 'Event',
    id: 'Id',
    state: 'Status',
    action: 'Actie',
    stored: 'Opgeslagen',
    from: 'Opgeslagen vanaf',
    to: 'Opgeslagen voor',
    changedAt: 'gewijzigd',
    filterHint: 'Op status, actie, entiteit en tijd',
    wrongEntity: 'Kies ook het type entiteit.',
    noneFits: 'Geen event past bij het filter.',
    noneSoFar: 'Tot nu toe past geen event bij het filter.',
    someSoFar: 'Deze events passen tot nu toe bij het filter.',
    lookedTo: 'Gezocht tot en met',
    goOn: 'Verder terug zoeken',
    noSuchId:
      'Er is geen event met dit id, of het wordt niet meer bewaard. Een event-id is een getal. Ontvangers vinden het in de header webhook-id, als msg_WEBHOOK_EVENT.',
    none: 'Er zijn nog geen events. Elke wijziging van een gebruiker of bedrijf in je applicatie levert er een op.',
    noneOfEntity:
      'Van deze entiteit worden geen events bewaard. Ze is niet gewijzigd, of dat is lang geleden.',
    noneOlder: 'Oudere events worden niet meer bewaard.',
  },
  event: {
    committed: 'Gewijzigd in de applicatie',
    changed: 'Gewijzigde velden',
    omitted: 'Velden met een onbekende waarde',
    body: 'Inhoud',
    previous: 'Vorige waarden',
    others: 'Alle events van deze entiteit',
    became: 'Afleveringen',
    noWebhooks: 'Er zijn nog geen webhooks.',
    notSentTo: 'Niet verstuurd naar',
    firstOnly: count => `Alleen de eerste ${count} webhooks worden getoond.`,
    now: 'Nu',
    next: 'Volgende poging:',
    other: 'Het andere event',
    shorter: 'Toen dit werd verstuurd, waren er meer pogingen ingesteld.',
    attempt: count => `Poging ${count}`,
    byHand: 'handmatig',
    exactly: 'Details',
    sendNow: 'Nu versturen',
    sendAnyway: 'Toch versturen',
    cancel: 'Aflevering annuleren',
    done: {
      resent: 'walhook verstuurt het event opnieuw. De aflevering verschijnt hieronder.',
      resent_older:
        'walhook verstuurt het event opnieuw. De ontvanger heeft al een nieuwere stand van deze entiteit, en krijgt nu deze oudere.',
      cancelled: 'Aflevering geannuleerd.',
      not_cancelled: 'Er is niets geannuleerd: het event staat niet meer in de wachtrij, of is onderweg.',
    },
    states: {
      delivered: { word: 'Afgeleverd', what: 'De ontvanger heeft het event geaccepteerd.' },
      superseded: {
        word: 'Vervangen',
        what: 'Een nieuwer event heeft dit vervangen: deze webhook krijgt alleen de laatste stand.',
      },
      dead: {
        word: 'Onbestelbaar',
        what: 'Alle pogingen zijn mislukt. walhook probeert het niet meer; jij kunt het opnieuw versturen.',
      },
      cancelled: {
        word: 'Geannuleerd',
        what: 'Het event is in de wachtrij geannuleerd. Je kunt het opnieuw versturen.',
      },
      in_flight: { word: 'Onderweg', what: 'walhook verstuurt het event nu.' },
      due: {
        word: 'In de wachtrij',
        what: 'walhook verstuurt het event zodra deze webhook ruimte heeft voor een verzoek.',
      },
      retrying: {
        word: 'Nieuwe poging volgt',
        what: 'De ontvanger heeft het event nog niet geaccepteerd. walhook probeert het vanzelf opnieuw; de laatste poging zegt waarom het mislukte.',
      },
      blocked: {
        word: 'Geblokkeerd',
        what: 'Het adres van de ontvanger is niet toegestaan: gebruik een andere URL, of vraag de beheerder van walhook om het toe te staan. walhook blijft het proberen.',
      },
      behind: {
        word: 'In de wachtrij',
        what: 'Een eerder event van dezelfde entiteit gaat voor: walhook verstuurt ze op volgorde.',
      },
      inactive: {
        word: 'In de wachtrij',
        what: 'De webhook is inactief. walhook verstuurt het event zodra hij weer actief is.',
      },
      disabled: {
        word: 'In de wachtrij',
        what: 'De webhook is uitgeschakeld. Herstel de ontvanger en activeer hem dan: walhook verstuurt dan het event.',
      },
      made_later: { word: 'Niet verstuurd', what: 'De webhook is na dit event aangemaakt.' },
      inactive_then: { word: 'Niet verstuurd', what: 'De webhook was toen inactief.' },
      disabled_then: { word: 'Niet verstuurd', what: 'De webhook was toen uitgeschakeld.' },
      not_subscribed: { word: 'Niet verstuurd', what: 'De webhook heeft deze trigger niet.' },
      filtered: { word: 'Niet verstuurd', what: 'Het filter van de webhook sluit het event uit.' },
      no_wanted_field: {
        word: 'Niet verstuurd',
        what: 'De webhook krijgt alleen updates van bepaalde velden, en daarvan is er geen gewijzigd.',
      },
      for_another: {
        word: 'Niet verstuurd',
        what: 'Het event is alleen voor een andere webhook aangemaakt.',
      },
      other_tenant: {
        word: 'Niet verstuurd',
        what: 'Het event hoort bij een andere organisatie dan de webhook.',
      },
      unknown: { word: 'Onbekend', what: 'walhook bewaart hier niets meer over.' },
    },
  },
  attempt: {
    status: 'Status',
    noResponse: 'Geen antwoord',
    outcome: 'Resultaat',
    duration: 'Duur',
    address: 'Adres',
    request: 'Verzoek',
    requestBody: 'Inhoud van het verzoek',
    response: 'Antwoord',
    responseBody: 'Inhoud van het antwoord',
    emptyBody: '(leeg)',
    noBody: '(niet meer bewaard)',
    bodyNotKept: '(niet in de log bewaard)',
    shownInPart: (shown, all) => `(De eerste ${shown} van ${all} tekens. De API geeft ze allemaal.)`,
    tooLarge: bytes => `(${Math.round(bytes / 1e6)} MB, te veel om te tonen)`,
    truncated: 'Alleen het begin is gelezen.',
    headers: counter('nl', { one: '# header', other: '# headers' }),
  },
  diagnoses: {
    delivered: {
      what: 'De ontvanger heeft het verzoek geaccepteerd.',
      advice: 'Je hoeft niets te doen.',
    },
    delivered_slowly: {
      what: 'De ontvanger heeft het verzoek geaccepteerd, maar deed er lang over.',
      advice:
        'Na 15 seconden telt het als mislukt. Laat de ontvanger eerst antwoorden en daarna het werk doen.',
    },
    cancelled: {
      what: 'walhook heeft het verzoek afgebroken: het proces van walhook stopte, of stond seconden lang stil.',
      advice: 'walhook verstuurt een aflevering opnieuw, maar een test niet.',
    },
    blocked: {
      what: 'Dit adres is niet toegestaan. Er is niets verstuurd.',
      advice:
        'Gebruik een openbaar https-adres, of vraag de beheerder van walhook om dit adres toe te staan.',
    },
    unknown_name: {
      what: 'De hostnaam in de URL heeft geen adres.',
      advice: 'Controleer de spelling van de URL en of de naam in DNS bestaat.',
    },
    nothing_listens: {
      what: 'Op dit adres en deze poort luistert geen server.',
      advice: 'Controleer de poort in de URL en of de ontvanger draait.',
    },
    cut_off: {
      what: 'De ontvanger verbrak de verbinding voordat hij antwoordde.',
      advice: 'Kijk in de log van de ontvanger of er op dat moment een fout was.',
    },
    no_route: {
      what: 'Het netwerk van de ontvanger is onbereikbaar.',
      advice: 'Controleer het adres, en of een firewall verzoeken van hier tegenhoudt.',
    },
    no_trust: {
      what: 'Geen beveiligde verbinding: het certificaat van de ontvanger is ongeldig.',
      advice: 'In de zin hieronder staat wat er mis is. De ontvanger moet het herstellen.',
    },
    too_late: {
      what: 'De ontvanger antwoordde niet op tijd.',
      advice:
        'Laat de ontvanger eerst antwoorden en daarna het werk doen. Antwoordt hij nooit, controleer dan of er een firewall tussen zit.',
    },
    not_http: {
      what: 'Het antwoord is geen geldig HTTP.',
      advice: 'Controleer de poort in de URL: misschien luistert daar een ander programma.',
    },
    redirects: {
      what: 'De ontvanger stuurt verzoeken door naar een ander adres.',
      advice: 'walhook volgt geen doorverwijzingen. Gebruik het uiteindelijke adres als URL.',
    },
    gone: {
      what: 'De ontvanger wil geen verzoeken meer (410 Gone).',
      advice: 'Vraag de ontvanger om de nieuwe URL, of verwijder de webhook.',
    },
    wrong_signature: {
      what: 'De ontvanger weigerde de inloggegevens.',
      advice:
        'Kijk na of hij met het geheim van deze webhook controleert, over precies de bytes van de inhoud, en of de webhook elke header heeft die hij vereist.',
    },
    wrong_path: {
      what: 'De ontvanger accepteert geen POST op dit adres.',
      advice: 'Controleer het pad van de URL, letter voor letter.',
    },
    too_large: {
      what: 'Het verzoek is te groot voor de ontvanger.',
      advice: 'Laat hem grotere verzoeken accepteren, of verstuur minder events per batch.',
    },
    busy: {
      what: 'De ontvanger is overbelast of onbereikbaar.',
      advice: 'Probeer het later opnieuw. walhook probeert afleveringen vanzelf opnieuw.',
    },
    receiver_failed: {
      what: 'De ontvanger kon het verzoek niet verwerken.',
      advice: 'Kijk in de log van de ontvanger. Misschien zegt het antwoord hieronder meer.',
    },
    other_status: {
      what: 'De ontvanger weigerde het verzoek.',
      advice:
        'Alleen een status van 200 tot 299 telt als ontvangen. Misschien zegt het antwoord hieronder waarom.',
    },
  },
}
