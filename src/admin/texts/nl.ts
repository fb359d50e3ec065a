import type { Texts } from './en.ts'

/** Every text of the pages, in Dutch. */
export const nl: Texts = {
  language: { code: 'nl', name: 'Nederlands', choose: 'Taal' },
  places: { couplings: 'Koppelingen', health: 'Status', tokens: 'Tokens', audit: 'Logboek' },
  groups: { settings: 'Instellingen', integrations: 'Integraties', system: 'Systeem' },
  layout: {
    skip: 'Naar de inhoud',
    navigation: 'Instellingen',
    way: 'Waar je bent',
    logOut: 'Uitloggen',
    logOutEverywhere: 'Overal uitloggen',
    loggedInAs: name => `Ingelogd als ${name}`,
    account: 'Account',
    stale: 'De verbinding is weg, dus wat je ziet kan verouderd zijn. We proberen het opnieuw.',
  },
  roles: { viewer: 'kijker', operator: 'operator', admin: 'beheerder' },
  logIn: {
    title: 'Inloggen',
    lead: 'Webhooks laten andere systemen weten dat een gebruiker of bedrijf is gewijzigd.',
    token: 'Token',
    hint: 'Een API-token, gemaakt met “walhook token NAAM” of door een beheerder op de pagina Tokens.',
    submit: 'Inloggen',
    missing: 'Vul je token in.',
    wrong: 'Dit token is onbekend, verlopen of ingetrokken. Controleer of je het helemaal hebt gekopieerd.',
    slow: seconds =>
      `Er kwamen te veel verkeerde tokens vanaf jouw netwerk. Wacht ${seconds} seconden en probeer het dan opnieuw.`,
    loggedOut: 'Je bent uitgelogd.',
    loggedOutEverywhere: 'Je bent uitgelogd, hier en op elk ander apparaat dat dit token gebruikte.',
  },
  errors: {
    notFoundTitle: 'Niet gevonden',
    notFound: 'Op dit adres staat niets. Misschien is het verwijderd, of is de link oud.',
    forbiddenTitle: 'Geen toegang',
    forbidden: (needed, has) =>
      `Hiervoor is de rol ${needed} nodig en jouw token heeft de rol ${has}. Er is niets gewijzigd. Vraag een beheerder om een ander token.`,
    failedTitle: 'Er ging iets mis',
    failed:
      'Dit is niet gelukt door een fout in walhook of een database die niet bereikbaar is. In de log van walhook staat waarom. Probeer het zo nog eens.',
    tooLarge: 'Wat je hebt verstuurd is te groot. Er is niets gewijzigd.',
    staleTitle: 'Intussen gewijzigd',
    stale:
      'Iemand heeft deze webhook gewijzigd terwijl jij hem open had. Er is niets opgeslagen. Open hem opnieuw en maak je wijziging nog een keer.',
    conflictTitle: 'Dit kan niet',
    toCouplings: 'Naar de koppelingen',
  },
  yes: 'Ja',
  no: 'Nee',
  units: { day: 'd', hour: 'u', minute: 'min' },
  entities: { user: 'Gebruiker', company: 'Bedrijf' },
  actions: { new: 'nieuw', update: 'wijziging', delete: 'verwijdering', test: 'test' },
  outcomes: {
    delivered: 'Afgeleverd',
    refused: 'Geweigerd',
    unreachable: 'Onbereikbaar',
    blocked: 'Geblokkeerd',
    cancelled: 'Afgebroken',
  },
  phases: { dns: 'DNS', connect: 'Verbinden', tls: 'TLS', first_byte: 'Eerste byte', body: 'Inhoud' },
  couplings: {
    title: 'Koppelingen',
    new: 'Nieuwe webhook',
    tabsLabel: 'Deze webhook',
    tabs: { settings: 'Instellingen', test: 'Webhook testen', log: 'Log', secret: 'Geheim' },
    search: 'Zoek op naam of URL',
    find: 'Zoeken',
    nothingFound: search => `Geen enkele webhook heeft “${search}” in de naam of URL.`,
    pages: 'Pagina’s',
    previousPage: 'Vorige',
    nextPage: 'Volgende',
    columns: {
      name: 'Webhook',
      state: 'Status',
      last: 'Laatste verzoek',
      failed: 'Mislukt, 24 u',
      waiting: 'In de wachtrij',
      active: 'Actief',
    },
    allActions: 'alles',
    nothingYet: 'Nog niets verstuurd',
    thousandOrMore: '1.000+',
    failedOf: (failed, requests) =>
      `${failed} van ${requests} verzoeken mislukten in de afgelopen 24 uur; per uur zijn er hooguit 25 bekeken`,
    toggle: name => `${name} is actief`,
    state: {
      active: 'Actief',
      inactive: 'Inactief',
      disabled: 'Uitgeschakeld',
      failing: 'Storing',
      held: 'Gepauzeerd',
      willBeDisabled: left =>
        `Wordt over ${left} uitgeschakeld als er tot die tijd niets wordt geaccepteerd.`,
      willBeDisabledSoon: 'Wordt uitgeschakeld zodra er weer een melding verloren gaat.',
      heldFor: left => `De ontvanger vroeg om een pauze van ${left}.`,
    },
    done: {
      saved: 'De wijzigingen zijn opgeslagen.',
      deleted: 'De webhook is verwijderd.',
      activated: 'De webhook is actief.',
      deactivated: 'De webhook is inactief: er wordt niets naartoe gestuurd.',
    },
    empty: {
      title: 'Laat een ander systeem weten wat hier verandert',
      what: 'Een webhook stuurt een ondertekend verzoek naar een URL van jou, telkens als een gebruiker of bedrijf wordt aangemaakt, gewijzigd of verwijderd.',
      steps: [
        'Vraag bij het andere systeem de URL van het endpoint op.',
        'Maak een webhook met die URL en kies welke wijzigingen je wilt doorgeven.',
        'Verstuur een test: dan zie je meteen of alles werkt.',
      ],
      askAdmin: 'Alleen een beheerder kan een webhook maken. Vraag het er een.',
    },
  },
  form: {
    someWrong: 'Er is nog niets opgeslagen: hieronder klopt iets niet.',
    name: 'Naam',
    nameHint: 'Alleen voor jezelf, bijvoorbeeld de dienst die je koppelt.',
    isActive: 'Is actief',
    active: 'Actief',
    inactive: 'Inactief',
    url: 'URL',
    urlHint: 'Het endpoint dat de verzoeken ontvangt. Begint met https.',
    urlFine: 'Naar dit adres kunnen verzoeken worden gestuurd.',
    triggers: 'Triggers',
    triggersHint: 'Welke wijzigingen deze webhook doorgeeft.',
    all: 'Alles',
    allOfEntity: entity => `${entity}: alles`,
    allOfAction: action => `Alles: ${action}`,
    more: 'Meer',
    moreHint: 'Headers, bundels en wat er in een verzoek staat',
    headers: 'Eigen headers',
    headersHint:
      'Gaan met elk verzoek mee en worden versleuteld bewaard. Maak de naam leeg om er een te verwijderen.',
    headerName: 'Naam',
    headerValue: 'Waarde',
    headerValueOf: name => `Waarde van ${name}`,
    headerKept: 'Blijft zoals hij is',
    previous: 'Vorige waarden meesturen',
    previousHint: 'Een wijziging vermeldt dan ook welke velden zijn veranderd en wat erin stond.',
    latest: 'Alleen de laatste stand',
    latestHint:
      'Wachten er meerdere meldingen over dezelfde gebruiker of hetzelfde bedrijf, dan wordt alleen de nieuwste verstuurd.',
    batch: 'Meerdere meldingen in één verzoek',
    batchHint: 'De inhoud is dan een lijst met meldingen.',
    maxEvents: 'Hooguit zoveel meldingen (2 tot 1000)',
    maxWaitMs: 'Wacht hooguit, in milliseconden (0 tot 60000)',
    updateFields: 'Alleen wijzigingen van deze velden',
    updateFieldsHint: 'Kies er geen om elke wijziging door te geven.',
    tryTitle: 'Testen voor je opslaat',
    tryHint: 'Stuurt een test naar de URL hierboven, met deze instellingen. Er wordt niets opgeslagen.',
    tryUnsigned:
      'Een nieuwe webhook heeft nog geen geheim, dus de ontvanger kan de handtekening van deze test niet controleren.',
    try: 'Test versturen',
    previewTitle: 'Zo ziet een verzoek eruit',
    previewHint: 'Een voorbeeld voor elke trigger die je hebt gekozen.',
    previewNone: 'Kies een trigger om een voorbeeld te zien.',
    create: 'Webhook aanmaken',
    save: 'Wijzigingen opslaan',
    cancel: 'Annuleren',
    delete: 'Webhook verwijderen',
    wrong: {
      noName: 'Geef de webhook een naam.',
      longName: 'De naam mag 200 tekens lang zijn.',
      strangeName: 'In de naam staan tekens die niet bewaard kunnen worden. Typ hem opnieuw.',
      noUrl: 'Vul de URL van het endpoint in.',
      longUrl: 'De URL mag 2048 tekens lang zijn.',
      noTriggers: 'Kies minstens één trigger: anders wordt er nooit iets verstuurd.',
      maxEvents: 'Gebruik een heel getal van 2 tot 1000.',
      maxWaitMs: 'Gebruik een heel getal van 0 tot 60000.',
    },
  },
  created: {
    done: 'De webhook is aangemaakt.',
    secret: 'Geheim voor de handtekening',
    secretHint:
      'Kopieer het nu en geef het op een veilige manier aan de ontvanger. Daarmee kan die controleren of een verzoek echt van hier komt.',
    copy: 'Kopiëren',
    copied: 'Gekopieerd',
    next: 'Wat de ontvanger ermee doet',
    nextHint:
      'Elk verzoek is ondertekend volgens Standard Webhooks; elke bibliotheek daarvan kan het controleren. In Node.js:',
    snippet: 'Een verzoek controleren in Node.js',
    test: 'Webhook testen',
  },
  delete: {
    title: 'Webhook verwijderen',
    question: name => `“${name}” verwijderen?`,
    consequence:
      'Wat nog in de wachtrij staat, verdwijnt ook en wordt niet meer verstuurd. Dit kun je niet ongedaan maken. Wil je alleen even stoppen, zet de webhook dan op inactief.',
    confirm: 'Verwijderen',
  },
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
  },
  attempt: {
    status: 'Status',
    noAnswer: 'Geen antwoord',
    outcome: 'Resultaat',
    duration: 'Duurde',
    address: 'Adres',
    request: 'Verzoek',
    requestBody: 'Inhoud van het verzoek',
    response: 'Antwoord',
    responseBody: 'Inhoud van het antwoord',
    emptyBody: '(leeg)',
    truncated: 'Alleen het begin staat hier: de rest is niet gelezen.',
    headers: count => (count === 1 ? '1 header' : `${count} headers`),
  },
  diagnoses: {
    delivered: {
      what: 'Het werkt: de ontvanger heeft het verzoek geaccepteerd.',
      advice: 'Je hoeft niets te doen.',
    },
    delivered_slowly: {
      what: 'De ontvanger heeft het verzoek geaccepteerd, maar deed er lang over.',
      advice:
        'Na 15 seconden zou het als mislukt tellen. Laat de ontvanger eerst antwoorden en daarna het werk doen.',
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
      what: 'Er kwam geen veilige verbinding tot stand: het certificaat van de ontvanger is niet in orde.',
      advice: 'De zin hieronder zegt wat eraan mankeert. Het moet bij de ontvanger worden hersteld.',
    },
    too_late: {
      what: 'De ontvanger antwoordde niet op tijd.',
      advice:
        'Laat de ontvanger eerst antwoorden en daarna het werk doen. Komt er nooit antwoord, kijk dan of er een firewall tussen zit.',
    },
    not_http: {
      what: 'Wat er antwoordde, spreekt geen geldig HTTP.',
      advice: 'Controleer de poort in de URL: misschien luistert daar een ander programma.',
    },
    redirects: {
      what: 'De ontvanger stuurt verzoeken door naar een ander adres.',
      advice: 'Doorverwijzingen worden niet gevolgd. Gebruik het uiteindelijke adres als URL.',
    },
    gone: {
      what: 'De ontvanger zegt dat hij geen verzoeken meer wil (410).',
      advice: 'Vraag de ontvanger om de nieuwe URL, of verwijder de webhook.',
    },
    wrong_signature: {
      what: 'De ontvanger accepteerde niet van wie het verzoek komt.',
      advice:
        'Controleer of hij het geheim van deze webhook gebruikt, over precies de bytes van de inhoud, en of hij een eigen header verwacht.',
    },
    wrong_path: {
      what: 'Op dit adres accepteert niets een POST.',
      advice: 'Controleer het pad van de URL, letter voor letter.',
    },
    too_large: {
      what: 'Het verzoek is te groot voor de ontvanger.',
      advice: 'Laat de ontvanger grotere verzoeken toe, of stuur minder meldingen tegelijk.',
    },
    busy: {
      what: 'De ontvanger is er wel, maar heeft het te druk of ligt er zelf uit.',
      advice: 'Probeer het later opnieuw. Gewone meldingen worden vanzelf opnieuw geprobeerd.',
    },
    receiver_failed: {
      what: 'De ontvanger kreeg het verzoek, maar er ging daar iets mis.',
      advice:
        'Kijk in de log van de ontvanger: daar zit de fout. Misschien zegt het antwoord hieronder meer.',
    },
    other_status: {
      what: 'De ontvanger heeft het verzoek niet geaccepteerd.',
      advice:
        'Alleen een status van 200 tot 299 telt als ontvangen. Misschien zegt het antwoord hieronder waarom.',
    },
  },
}
