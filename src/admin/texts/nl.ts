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
    toCouplings: 'Naar de koppelingen',
  },
  couplings: { title: 'Koppelingen', new: 'Nieuwe webhook' },
}
