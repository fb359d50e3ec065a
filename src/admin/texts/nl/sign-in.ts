export const signIn = {
  signIn: {
    with: (provider: string) => `Inloggen met ${provider}`,
    or: 'of',
    withToken: 'Inloggen met een token',
    done: 'Je bent ingelogd',
    goOn: 'Verder',
    back: 'Terug naar inloggen',
    other: 'Inloggen met een ander account',
    noAccess: 'Geen toegang',
    signedInAs: (name: string, provider: string) => `Je bent bij ${provider} ingelogd als ${name}.`,
    stillThere: (provider: string) => `Je sessie bij ${provider} is nog open.`,
    logOutThere: (provider: string) => `Uitloggen bij ${provider}`,
    problems: {
      no_role: (provider: string) =>
        `Je account bij ${provider} heeft geen rol in walhook. Vraag de accountbeheerder daar om een rol.`,
      no_tenant: (provider: string) =>
        `Je account bij ${provider} hoort niet bij een organisatie, dus je hebt hier nergens toegang toe. Vraag het aan de accountbeheerder daar.`,
      unclear_tenant: (provider: string) =>
        `Je account bij ${provider} moet bij precies één organisatie horen. Vraag de accountbeheerder daar om dat in te stellen.`,
      unreachable: (provider: string) =>
        `${provider} antwoordt niet. Probeer het zo opnieuw, of log in met een token.`,
      unusable: (provider: string) =>
        `walhook kan het antwoord van ${provider} niet gebruiken. In de log van walhook staat waarom. Inloggen met een token kan wel.`,
      client: (provider: string) =>
        `${provider} weigert walhook als client: het client-id of het geheim is onjuist. In de log van walhook staat meer.`,
      clock: (provider: string) =>
        `De klokken van walhook en ${provider} verschillen, of je sessie daar is verlopen. Probeer het opnieuw; helpt dat niet, dan moet een beheerder de klokken gelijkzetten.`,
      unknown: (_provider: string) =>
        'Deze login is in een andere browser gestart, of is verlopen. Log opnieuw in.',
      expired: (_provider: string) => 'Het inloggen duurde te lang. Log opnieuw in.',
      used: (_provider: string) => 'Deze login is al gebruikt. Log opnieuw in.',
      cancelled: (provider: string) => `Het inloggen bij ${provider} is geannuleerd.`,
      refused: (provider: string) =>
        `${provider} heeft de login geweigerd. In de log van walhook staat waarom.`,
      slow: (_provider: string) =>
        'Er wordt te vaak ingelogd vanaf jouw netwerk. Wacht een minuut en probeer het dan opnieuw.',
    },
  },
}
