import type { shared as english } from '../en/shared.ts'
import { seconds } from './counts.ts'

export const shared: typeof english = {
  language: { code: 'nl', name: 'Nederlands', choose: 'Taal' },
  sections: {
    couplings: 'Koppelingen',
    events: 'Events',
    catalogue: 'Eventcatalogus',
    health: 'Status',
    tokens: 'Tokens',
    audit: 'Logboek',
  },
  groups: { settings: 'Instellingen', integrations: 'Integraties', system: 'Systeem' },
  layout: {
    skip: 'Naar de inhoud',
    navigation: 'Instellingen',
    way: 'Kruimelpad',
    logOut: 'Uitloggen',
    logOutEverywhere: 'Overal uitloggen',
    loggedInAs: name => `Ingelogd als ${name}`,
    account: 'Account',
    stale: 'Verbinding verbroken, we verbinden opnieuw. Deze pagina kan verouderd zijn.',
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
    slow: wait =>
      `Te veel onjuiste tokens vanaf jouw netwerk. Wacht ${seconds(wait)} en probeer het dan opnieuw.`,
    over: 'Je sessie is verlopen',
    overHere:
      'Wat je hebt ingevuld, staat nog op deze pagina. Log in op een ander tabblad, of open Koppelingen daar vanuit je applicatie. Verstuur het daarna opnieuw.',
    inNewTab: 'Inloggen op een nieuw tabblad',
    sendAgain: 'Opnieuw versturen',
    loggedOut: 'Je bent uitgelogd.',
    loggedOutEverywhere: 'Je bent uitgelogd, hier en op elk ander apparaat dat dit token gebruikte.',
  },
  errors: {
    notFoundTitle: 'Niet gevonden',
    notFound: 'Deze pagina bestaat niet. Misschien is ze verwijderd, of is de link verouderd.',
    forbiddenTitle: 'Geen toegang',
    forbidden: (needed, has) =>
      `Hiervoor is de rol ${needed} nodig en jouw token heeft de rol ${has}. Er is niets gewijzigd. Vraag een beheerder om een ander token.`,
    failedTitle: 'Er ging iets mis',
    failed:
      'walhook heeft een storing, of de database is niet bereikbaar. In de log van walhook staat waarom. Probeer het zo opnieuw.',
    tooOften: 'Te veel verzoeken. Wacht even en probeer het dan opnieuw.',
    tooLarge: 'Het formulier is te groot. Er is niets gewijzigd. Maak de waarden korter, of gebruik de API.',
    staleTitle: 'Intussen gewijzigd',
    stale:
      'Iemand anders heeft deze webhook intussen gewijzigd. Er is niets opgeslagen. Wat je hebt ingevuld, staat hieronder: sla het opnieuw op om die wijzigingen te overschrijven.',
    staleWhat: 'Wijzigingen van de ander',
    conflictTitle: 'Dit kan niet',
    someWrong: 'Verbeter de fouten en probeer het opnieuw.',
    wrongField: name =>
      `Het veld ${name} heeft een onverwachte waarde. Er is niets gewijzigd. Laad de pagina opnieuw.`,
    toCouplings: 'Naar Koppelingen',
  },
  original: 'Oorspronkelijke tekst (Engels)',
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
  timedOut: 'Time-out',
  phases: { dns: 'DNS', connect: 'Verbinden', tls: 'TLS', first_byte: 'Eerste byte', body: 'Inhoud' },
}
