export const tenants = {
  tenants: {
    tenant: 'Organisatie',
    of: (tenant: string) => `Organisatie ${tenant}`,
    only: (tenant: string) => `Je ziet alleen organisatie “${tenant}”.`,
    all: 'Alles tonen',
    field: 'Organisatie',
    fieldHint:
      'Deze webhook krijgt alleen events van deze organisatie; laat leeg voor alle. Dit kun je later niet wijzigen.',
    tokensLead: 'Wie een token heeft, kan hier inloggen en de API aanroepen.',
    administrator: 'Beheerder',
    open: 'Koppelingen openen',
    openNow: 'Openen',
    linkOver: 'Deze link is verlopen',
    linkOverWhat: 'De link is al gebruikt, of te oud. Open Koppelingen opnieuw vanuit je applicatie.',
    noWebhooks: 'Je hebt nog geen webhooks.',
    allWell: 'Alle webhooks werken.',
    disabled:
      'Uitgeschakeld: walhook verstuurt niets naar deze webhooks. Herstel hun ontvangers en activeer ze dan op de pagina Koppelingen.',
    failing:
      'Storing: de ontvangers van deze webhooks accepteren nu geen verzoeken. Open er een om de antwoorden te zien; walhook probeert het vanzelf opnieuw.',
    figures: {
      webhooks: 'Webhooks',
      webhooksHint: 'Actief en inactief.',
      waiting: 'In de wachtrij',
      waitingHint: 'Events die nog afgeleverd moeten worden.',
      dead: 'Onbestelbaar',
      deadHint: 'Events waarvan alle pogingen mislukten. De log van hun webhook kan ze opnieuw versturen.',
    },
  },
}
