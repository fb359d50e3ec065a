export const tenants = {
  tenants: {
    tenant: 'Organisatie',
    of: (tenant: string) => `Organisatie ${tenant}`,
    only: (tenant: string) => `Alleen van organisatie “${tenant}”.`,
    all: 'Toon alles',
    field: 'Organisatie',
    fieldHint:
      'Laat leeg voor de gegevens van iedereen. Anders alleen die van deze organisatie. Dit kan later niet worden gewijzigd.',
    tokensLead: 'Wie een token heeft, kan hier inloggen en de API gebruiken.',
    administrator: 'Beheerder',
    open: 'Open de koppelingen',
    openNow: 'Open',
    linkOver: 'Deze pagina moet opnieuw worden geopend',
    linkOverWhat:
      'De link is gebruikt of de tijd is om. Open de pagina opnieuw vanuit de applicatie die hierheen leidde.',
    noWebhooks: 'Je hebt nog geen koppelingen.',
    allWell: 'Alle koppelingen werken.',
    disabled: 'Uitgeschakeld: naar deze koppelingen wordt niets verzonden tot iemand ze activeert.',
    failing: 'Mislukt: de ontvangers van deze koppelingen nemen op dit moment niets aan.',
    figures: {
      webhooks: 'Koppelingen',
      webhooksHint: 'Actief of niet.',
      waiting: 'Wachtend',
      waitingHint: 'Leveringen die onderweg zijn of wachten.',
      dead: 'Opgegeven',
      deadHint: 'Leveringen die zijn opgegeven. De pagina van hun gebeurtenis kan ze opnieuw verzenden.',
    },
  },
}
