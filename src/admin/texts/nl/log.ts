import { counter } from '../counter.ts'
import type { log as english } from '../en/log.ts'
import { seconds } from './counts.ts'

/** What was sent: tests, log, events, attempts and their diagnoses, in Dutch. */
export const log: typeof english = {
  test: {
    title: 'Webhook testen',
    what: url => `Stuurt een verzoek met de actie “test” naar ${url}, precies zoals elke andere melding.`,
    userId: 'Gebruikersaccount',
    ownAccount: id => `${id} (van jezelf)`,
    noOwnAccount: 'Id van een gebruiker',
    userIdHint:
      'De gegevens van dit account worden verstuurd. Vul een ander id in om die van iemand anders te versturen.',
    userIdNeeded:
      'Bij jouw token hoort geen account: vul het id in van de gebruiker van wie de gegevens worden verstuurd.',
    send: 'Webhook testen',
    busy: wait =>
      `Er lopen te veel tests tegelijk. Er is niets verstuurd. Probeer het over ${seconds(wait)} opnieuw.`,
  },
  log: {
    title: 'Log',
    columns: {
      time: 'Tijd',
      event: 'Melding',
      trigger: 'Aanleiding',
      outcome: 'Resultaat',
      duration: 'Duur',
      attempt: 'Poging',
      next: 'Volgende poging',
    },
    triggers: { schedule: 'Wijziging', manual: 'Handmatig', test: 'Test' },
    batch: counter('nl', { one: '# melding in een bundel', other: '# meldingen in één verzoek' }),
    attemptOf: (number, most) => `${number} van ${most}`,
    noFurtherTry: 'geen',
    waitsForWebhook: 'zodra de webhook weer actief is',
    waiting: count => `In de wachtrij: ${count}.`,
    older: 'Ouder',
    newest: 'Nieuwste',
    empty: {
      title: 'Er is nog niets naar deze webhook verstuurd',
      what: 'Elk verzoek verschijnt hier zodra het verstuurd is, met het antwoord erbij. Zo krijg je er een te zien:',
      test: 'Verstuur een test: die gaat meteen naar deze webhook, met de gegevens van een gebruikersaccount.',
      change: 'Wijzig iets waarvoor deze webhook is ingesteld, bijvoorbeeld een gebruiker in je applicatie.',
      changeInactive:
        'Zet de webhook op actief, en wijzig dan iets waarvoor hij is ingesteld, bijvoorbeeld een gebruiker in je applicatie.',
      button: 'Webhook testen',
    },
    noneFits: 'Geen enkel verzoek past bij het filter.',
    noneOlder: 'Er zijn geen oudere verzoeken: die worden niet langer bewaard.',
    filter: 'Filter',
    filterHint: 'Op resultaat, aanleiding, onderwerp en tijd',
    outcome: 'Resultaat',
    any: 'Alles',
    failed: 'Alles wat mislukte',
    trigger: 'Aanleiding',
    entityType: 'Onderwerp',
    entityId: 'Id van het onderwerp',
    from: 'Vanaf',
    to: 'Voor',
    utc: 'UTC',
    apply: 'Toepassen',
    clear: 'Wissen',
    wrong: {
      entity: 'Kies wat het is en vul het id in, of laat beide leeg.',
      id: 'Een id heeft hooguit 1.024 tekens.',
      time: 'Gebruik een datum en tijd in de jaren 1970 tot en met 2199.',
      order: 'Het einde moet na het begin liggen.',
      choice: 'Kies iets uit de lijst.',
    },
    ownPage: 'Op een eigen pagina',
    close: 'Sluiten',
    request: 'Verzoek',
    previousAttempt: 'Vorige poging',
    nextAttempt: 'Poging erna',
    attempts: 'Pogingen van dezelfde melding',
    eventPage: 'Afleveringen van deze melding',
    events: 'Meldingen in dit verzoek',
    sentAt: 'Verstuurd op',
    messageId: 'webhook-id',
    curl: 'Kopiëren als curl',
    curlHint:
      'Verstuurt hetzelfde verzoek nog eens vanaf je eigen computer. De handtekening is zo oud als het verzoek: een ontvanger die goed controleert, weigert hem na vijf minuten.',
    curlRedacted: 'Waarden die niemand te zien krijgt, staan er als [redacted]: vul ze zelf in.',
    resend: 'Opnieuw versturen',
    resendHint: 'Met hetzelfde webhook-id, op zijn plaats in de volgorde, te beginnen met de eerste poging.',
    resendBatch: 'Deze meldingen opnieuw versturen',
    notKept: 'Deze melding wordt niet meer bewaard en kan dus niet opnieuw worden verstuurd.',
    resendInactive: 'Zet de webhook eerst op actief om dit opnieuw te versturen.',
    testAgain: 'Nog een test versturen',
  },
  queue: {
    moreThan: count => `meer dan ${count}`,
    resend: 'Mislukte opnieuw versturen',
    resendWhat:
      'Verstuurt elke melding opnieuw die in deze periode mislukte en nog niet is afgeleverd: onbestelbare meldingen, en meteen ook meldingen waarvoor nog een poging volgt. Meldingen over hetzelfde onderwerp blijven op volgorde.',
    since: 'Mislukt in',
    sinces: { day: 'De afgelopen 24 uur', week: 'De afgelopen 7 dagen', all: 'Alles wat in de log staat' },
    failedCount: count => `Meldingen die opnieuw worden verstuurd: ${count}.`,
    failedNone: 'Alles wat in deze periode mislukte, is inmiddels afgeleverd.',
    resendNow: 'Opnieuw versturen',
    cancel: 'Wachtrij annuleren',
    cancelWhat:
      'walhook verstuurt de meldingen in de wachtrij van deze webhook dan niet meer. Meldingen die onderweg zijn en latere meldingen gaan gewoon door. Elke melding kan handmatig opnieuw worden verstuurd.',
    cancelCount: count => `In de wachtrij of onderweg: ${count}.`,
    cancelNone: 'Voor deze webhook staat niets in de wachtrij.',
    cancelNow: 'Annuleer deze meldingen',
    back: 'Terug naar de log',
    resent: count => `Wordt opnieuw verstuurd: ${count}.`,
    cancelled: count => `Geannuleerd: ${count}.`,
    more: 'Er zijn nog meer meldingen. Ga door met de rest.',
    goOn: 'Doorgaan',
  },
  events: {
    byId: 'Id van een melding, of een webhook-id',
    event: 'Melding',
    id: 'Id',
    state: 'Status',
    action: 'Actie',
    stored: 'Opgeslagen',
    from: 'Opgeslagen vanaf',
    to: 'Opgeslagen voor',
    changedAt: 'gewijzigd',
    filterHint: 'Op status, actie, onderwerp en tijd',
    wrongEntity: 'Kies ook wat het is.',
    noneFits: 'Geen melding past bij het filter.',
    noneSoFar: 'Tot nu toe past geen melding bij het filter.',
    someSoFar: 'Deze meldingen passen tot nu toe bij het filter.',
    lookedTo: 'Gezocht tot en met',
    goOn: 'Verder terug zoeken',
    noSuchId:
      'Er is geen melding met dit id, of die wordt niet meer bewaard. Een melding heeft een getal als id; een ontvanger vindt het in de header webhook-id: msg_, het nummer van de webhook, _ en het id.',
    none: 'Er zijn nog geen meldingen. Elke wijziging van een gebruiker of bedrijf in je applicatie wordt er een.',
    noneOfEntity:
      'Over dit onderwerp wordt geen melding bewaard: het is niet gewijzigd, of dat is lang geleden.',
    noneOlder: 'Er zijn geen oudere meldingen: die worden niet langer bewaard.',
  },
  event: {
    committed: 'Gewijzigd in de applicatie',
    changed: 'Gewijzigde velden',
    omitted: 'Velden waarvan de waarde onbekend is',
    body: 'Inhoud',
    previous: 'Vorige waarden',
    others: 'Alle meldingen over hetzelfde onderwerp',
    became: 'Afleveringen',
    noWebhooks: 'Er is nog geen webhook.',
    notSentTo: 'Niet verstuurd naar',
    firstOnly: count => `Alleen de eerste ${count} webhooks worden getoond.`,
    now: 'Nu',
    next: 'Volgende poging:',
    other: 'De andere melding',
    shorter: 'Toen dit werd verstuurd, waren er meer pogingen ingesteld.',
    attempt: count => `Poging ${count}`,
    byHand: 'handmatig',
    exactly: 'Bijzonderheden',
    sendNow: 'Nu versturen',
    sendAnyway: 'Toch versturen',
    cancel: 'Aflevering annuleren',
    done: {
      resent: 'De melding wordt opnieuw verstuurd. De aflevering verschijnt hieronder.',
      resent_older:
        'De melding wordt opnieuw verstuurd. De ontvanger heeft al een nieuwere stand van dit onderwerp gehad en krijgt deze oudere daarna.',
      cancelled: 'Aflevering geannuleerd.',
      not_cancelled: 'Er is niets geannuleerd. De melding stond niet meer in de wachtrij, of is nu onderweg.',
    },
    states: {
      delivered: { word: 'Afgeleverd', what: 'De ontvanger heeft de melding geaccepteerd.' },
      superseded: {
        word: 'Overgeslagen',
        what: 'Er kwam een nieuwere stand voor in de plaats: deze webhook wil alleen de laatste.',
      },
      dead: {
        word: 'Onbestelbaar',
        what: 'Alle pogingen zijn mislukt, en er volgt geen meer. Handmatig opnieuw versturen kan wel.',
      },
      cancelled: {
        word: 'Geannuleerd',
        what: 'De melding is handmatig geannuleerd in de wachtrij. Opnieuw versturen kan.',
      },
      in_flight: { word: 'Onderweg', what: 'De melding wordt op dit moment verstuurd.' },
      due: {
        word: 'In de wachtrij',
        what: 'De melding is aan de beurt zodra deze webhook ruimte heeft voor nog een verzoek.',
      },
      retrying: { word: 'Nieuwe poging volgt', what: 'De ontvanger heeft de melding nog niet geaccepteerd.' },
      blocked: {
        word: 'Geblokkeerd',
        what: 'Het adres van de ontvanger is niet toegestaan. Er volgt een nieuwe poging, voor als dat wordt opgelost.',
      },
      behind: {
        word: 'In de wachtrij',
        what: 'Een eerdere melding over hetzelfde onderwerp gaat voor: die worden op volgorde verstuurd.',
      },
      inactive: {
        word: 'In de wachtrij',
        what: 'De webhook is inactief. De melding wordt verstuurd zodra hij weer actief is.',
      },
      disabled: {
        word: 'In de wachtrij',
        what: 'De webhook is uitgeschakeld na een te lange storing. De melding wordt verstuurd zodra hij weer actief is.',
      },
      made_later: { word: 'Niet verstuurd', what: 'De webhook is na deze melding gemaakt.' },
      inactive_then: { word: 'Niet verstuurd', what: 'De webhook was toen inactief.' },
      disabled_then: { word: 'Niet verstuurd', what: 'De webhook was toen uitgeschakeld.' },
      not_subscribed: { word: 'Niet verstuurd', what: 'De webhook heeft deze trigger niet.' },
      filtered: { word: 'Niet verstuurd', what: 'Het filter van de webhook sluit het uit.' },
      no_wanted_field: {
        word: 'Niet verstuurd',
        what: 'De webhook wil alleen wijzigingen van bepaalde velden, en daarvan is er geen gewijzigd.',
      },
      for_another: {
        word: 'Niet verstuurd',
        what: 'De melding is alleen voor een andere webhook gemaakt.',
      },
      other_tenant: {
        word: 'Niet verzonden',
        what: 'De gebeurtenis is niet van de organisatie van de koppeling.',
      },
      unknown: { word: 'Onbekend', what: 'Er wordt niet meer over bewaard.' },
    },
  },
  attempt: {
    status: 'Status',
    noAnswer: 'Geen antwoord',
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
      what: 'Het werkt: de ontvanger heeft het verzoek geaccepteerd.',
      advice: 'Je hoeft niets te doen.',
    },
    delivered_slowly: {
      what: 'De ontvanger heeft het verzoek geaccepteerd, maar deed er lang over.',
      advice:
        'Na 15 seconden telt het als mislukt. Laat de ontvanger eerst antwoorden en daarna het werk doen.',
    },
    cancelled: {
      what: 'Het verzoek is afgebroken doordat walhook opnieuw startte.',
      advice: 'Verstuur het opnieuw.',
    },
    blocked: {
      what: 'Er is niets verstuurd: dit adres is niet toegestaan.',
      advice:
        'Gebruik een openbaar https-adres, of vraag de beheerder van walhook om dit adres toe te staan.',
    },
    unknown_name: {
      what: 'Bij de naam in de URL hoort geen adres.',
      advice: 'Controleer de spelling van de URL en of de naam in DNS bestaat.',
    },
    nothing_listens: {
      what: 'Op dit adres en deze poort luistert niets.',
      advice: 'Controleer de poort in de URL en of de ontvanger draait.',
    },
    cut_off: {
      what: 'De ontvanger verbrak de verbinding voordat er een antwoord was.',
      advice: 'Kijk in de log van de ontvanger of er op dat moment een fout was.',
    },
    no_route: {
      what: 'Het netwerk van de ontvanger is niet bereikbaar.',
      advice: 'Controleer het adres en of een firewall verzoeken van hier doorlaat.',
    },
    no_trust: {
      what: 'Geen veilige verbinding: het certificaat van de ontvanger is ongeldig.',
      advice: 'Het moet bij de ontvanger worden hersteld.',
    },
    too_late: {
      what: 'De ontvanger antwoordde niet op tijd.',
      advice:
        'Laat de ontvanger eerst antwoorden en daarna het werk doen. Komt er nooit antwoord, kijk dan of er een firewall tussen zit.',
    },
    not_http: {
      what: 'Het antwoord is geen geldig HTTP.',
      advice: 'Controleer de poort in de URL: misschien luistert daar een ander programma.',
    },
    redirects: {
      what: 'De ontvanger stuurt verzoeken door naar een ander adres.',
      advice: 'Doorverwijzingen worden niet gevolgd. Gebruik het uiteindelijke adres als URL.',
    },
    gone: {
      what: 'De ontvanger wil geen verzoeken meer (410 Gone).',
      advice: 'Vraag de ontvanger om de nieuwe URL, of verwijder de webhook.',
    },
    wrong_signature: {
      what: 'De ontvanger weigerde de inloggegevens.',
      advice:
        'Controleer of hij met het geheim van deze webhook controleert, over precies de bytes van de inhoud, en of je elke vereiste header meestuurt.',
    },
    wrong_path: {
      what: 'De ontvanger accepteert geen POST op dit adres.',
      advice: 'Controleer het pad van de URL, letter voor letter.',
    },
    too_large: {
      what: 'Het verzoek is te groot voor de ontvanger.',
      advice: 'Laat de ontvanger grotere verzoeken toelaten, of stuur minder meldingen tegelijk.',
    },
    busy: {
      what: 'De ontvanger is overbelast of ligt eruit.',
      advice: 'Probeer het later opnieuw. Gewone meldingen worden vanzelf opnieuw geprobeerd.',
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
