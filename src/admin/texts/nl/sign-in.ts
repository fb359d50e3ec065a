export const signIn = {
  signIn: {
    with: (provider: string) => `Inloggen met ${provider}`,
    or: 'of',
    withToken: 'Inloggen met een token',
    done: 'Je bent ingelogd',
    goOn: 'Verder',
    back: 'Naar het inloggen',
    other: 'Inloggen met een ander account',
    noAccess: 'Geen toegang',
    signedInAs: (name: string, provider: string) => `Je bent bij ${provider} ingelogd als ${name}.`,
    stillThere: (provider: string) => `Je sessie bij ${provider} is nog open.`,
    logOutThere: (provider: string) => `Uitloggen bij ${provider}`,
    problems: {
      no_role: (provider: string) =>
        `Je account bij ${provider} heeft geen rol in walhook. Vraag de beheerder van de accounts daar om een rol.`,
      no_tenant: (provider: string) =>
        `Je account bij ${provider} hoort bij geen organisatie, dus er is hier niets wat je mag zien. Vraag het de beheerder van de accounts daar.`,
      unclear_tenant: (provider: string) =>
        `Je account bij ${provider} zegt niet bij welke ene organisatie je hoort. Vraag het de beheerder van de accounts daar.`,
      unreachable: (provider: string) =>
        `${provider} antwoordt niet. Probeer het zo opnieuw. Inloggen met een token werkt wel.`,
      unusable: (provider: string) =>
        `walhook kan niets met het antwoord van ${provider}. De log van walhook zegt waarom. Inloggen met een token werkt wel.`,
      client: (provider: string) =>
        `${provider} accepteert walhook niet als client. De id of het geheim is onjuist: de log van walhook zegt meer.`,
      clock: (provider: string) =>
        `De klokken van walhook en ${provider} verschillen, of je sessie daar is voorbij. Probeer het opnieuw; helpt dat niet, dan moet een beheerder de klokken gelijkzetten.`,
      unknown: (_provider: string) =>
        'Dit inloggen is niet in deze browser begonnen, of is voorbij. Begin hier opnieuw.',
      expired: (_provider: string) => 'Het inloggen duurde te lang. Begin opnieuw.',
      used: (_provider: string) => 'Dit inloggen is al eerder voltooid. Begin opnieuw.',
      cancelled: (provider: string) => `Het inloggen bij ${provider} is geannuleerd.`,
      refused: (provider: string) => `${provider} liet je niet toe. De log van walhook zegt waarom.`,
      slow: (_provider: string) =>
        'Er wordt te vaak ingelogd vanaf jouw netwerk. Wacht een minuut en probeer het opnieuw.',
    },
  },
}
