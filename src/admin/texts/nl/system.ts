import { counter } from '../counter.ts'
import type { system as english } from '../en/system.ts'

export const system: typeof english = {
  tokens: {
    title: 'Tokens',
    new: 'Nieuw token',
    lead: 'Wie een token heeft, kan hier inloggen en de API aanroepen. Het token uit WALHOOK_ADMIN_TOKEN staat niet in deze lijst.',
    columns: {
      name: 'Naam',
      role: 'Rol',
      user: 'Gebruikersaccount',
      expires: 'Geldig tot',
      used: 'Laatst gebruikt',
    },
    own: 'van jou',
    never: 'Verloopt niet',
    unused: 'Nooit',
    isRevoked: 'Ingetrokken',
    isExpired: 'Verlopen',
    first: 'Eerste pagina',
    revoke: 'Intrekken',
    revokeOf: name => `${name} intrekken`,
    revokeTitle: 'Token intrekken',
    question: name => `Token “${name}” intrekken?`,
    consequence:
      'Wie dit token gebruikt, wordt uitgelogd en kan de API niet meer aanroepen. Dit kun je niet ongedaan maken.',
    ownConsequence: 'Je gebruikt dit token zelf: jij wordt ook uitgelogd.',
    revoked: 'Token ingetrokken.',
    empty: {
      title: 'Een token voor elke persoon en elk programma',
      what: 'Met een eigen token heeft iedereen precies de rol die nodig is, staat in het logboek wie wat heeft gewijzigd, en kun je er een intrekken zonder dat anderen er last van hebben.',
      configured: 'Tot nu toe is er alleen het token uit WALHOOK_ADMIN_TOKEN. Dat staat niet in deze lijst.',
    },
    form: {
      someWrong: 'Nog geen token aangemaakt: verbeter de velden hieronder.',
      name: 'Naam',
      nameHint: 'De persoon of het programma dat het gebruikt. Het logboek toont deze naam.',
      role: 'Rol',
      roles: {
        viewer: 'Kan alles bekijken behalve geheimen, tokens en het logboek.',
        operator: 'Kan ook tests versturen en meldingen opnieuw versturen.',
        admin: 'Kan alles, ook webhooks, hun geheimen en tokens.',
      },
      user: 'Gebruikersaccount',
      userHint:
        'Het id van de houder als gebruiker, als die er een is: een test verstuurt de gegevens van dit account.',
      expires: 'Geldig',
      expiries: {
        '30d': '30 dagen',
        '90d': '90 dagen',
        '365d': 'Een jaar',
        day: 'Tot en met een dag',
        never: 'Verloopt niet',
      },
      day: 'Laatste dag, bij “Tot en met een dag”',
      create: 'Token aanmaken',
    },
    wrong: {
      noName: 'Geef het token een naam.',
      longName: 'Gebruik hooguit 200 tekens voor de naam.',
      strange: 'Dit is te lang, of er staan tekens in die niet bewaard kunnen worden. Typ het opnieuw.',
      noRole: 'Kies een rol.',
      noExpiry: 'Kies hoe lang het token geldig is.',
      noDay: 'Kies vandaag of een latere dag.',
    },
    created: {
      done: 'Token aangemaakt.',
      token: 'Het token',
      onlyNow: 'Je ziet het maar één keer.',
      hint: 'Kopieer het en geef het op een veilige manier aan de houder. Raakt het kwijt, trek het dan in en maak een ander.',
      use: 'Zo gebruik je het',
      useHint: 'Log er hier mee in, of stuur deze header mee met elke API-aanroep:',
      example: 'Header voor de API',
      back: 'Naar de tokens',
    },
  },
  audit: {
    title: 'Logboek',
    columns: { at: 'Wanneer', who: 'Wie', what: 'Wat', changes: 'Wijzigingen' },
    kinds: {
      link: 'link',
      oidc: 'login',
      token: 'token',
      configuration: 'configuratie',
      'command line': 'Opdrachtregel',
    },
    account: id => `account ${id}`,
    deleted: id => `webhook ${id}, verwijderd`,
    only: name => `Je ziet alleen wat over “${name}” gaat.`,
    all: 'Alles tonen',
    newest: 'Nieuwste',
    older: 'Ouder',
    nothing: 'niets',
    becomes: 'wordt',
    fieldCount: counter('nl', { one: '# veld', other: '# velden' }),
    empty: {
      title: 'Nog geen wijzigingen',
      what: 'Hier komt te staan wie een webhook of token heeft gewijzigd, wanneer en hoe, en wie een geheim heeft bekeken. De geheimen zelf staan hier nooit.',
    },
    actions: {
      'webhook.created': 'Maakte een webhook',
      'webhook.changed': 'Wijzigde een webhook',
      'webhook.deleted': 'Verwijderde een webhook',
      'webhook.tried': 'Testte een webhook voor het opslaan',
      'webhooks.applied': 'Paste een bestand met webhooks toe',
      'webhook.disabled': 'Schakelde een webhook uit',
      'webhook.secret_shown': 'Bekeek een geheim',
      'webhook.secret_rotated': 'Maakte een nieuw geheim',
      'deliveries.resent': 'Stuurde mislukte meldingen opnieuw',
      'deliveries.replayed': 'Stuurde meldingen nog een keer',
      'deliveries.cancelled': 'Annuleerde de wachtrij',
      'replay.cancelled': 'Stopte een herhaling',
      'backfill.started': 'Begon alle rijen te versturen',
      'backfill.changed': 'Wijzigde het tempo van een backfill',
      'backfill.cancelled': 'Stopte een backfill',
      'entity.forgotten': 'Liet gegevens vergeten',
      'secrets.rekeyed': 'Versleutelde alles met een nieuwe sleutel',
      'outbox.adopted': 'Nam de outbox over in een andere database',
      'token.created': 'Maakte een token',
      'token.revoked': 'Trok een token in',
      'session.linked': 'Maakte een link naar de pagina’s',
      'session.started': 'Logde in',
      'session.refused': 'Weigerde een login',
      'sessions.ended': 'Logde overal uit',
    },
    fields: {
      subject: 'Subject',
      problem: 'Reden',
      tenant: 'Organisatie',
      address: 'Adres',
      failures: 'Foute tokens',
      name: 'Naam',
      url: 'URL',
      is_active: 'Is actief',
      triggers: 'Triggers',
      header_names: 'Eigen headers',
      client_certificate: 'Clientcertificaat',
      previous: 'Vorige waarden',
      traceparent: 'traceparent',
      update_fields: 'Alleen wijzigingen van',
      filter: 'Filterwaarden',
      filter_entering: 'Binnen het filter komen',
      filter_leaving: 'Buiten het filter vallen',
      mode: 'Modus',
      log_bodies: 'Inhoud in de log',
      batch: 'Bundel',
      disabled_reason: 'Uitgeschakeld omdat',
      disabled_at: 'Uitgeschakeld op',
      failing_since: 'Storing sinds',
      held_until: 'Gepauzeerd tot',
      previous_secret_expires_at: 'Oud geheim tot',
      role: 'Rol',
      user_id: 'Gebruikersaccount',
      expires_at: 'Geldig tot',
      count: 'Aantal',
      outcome: 'Resultaat',
      status: 'Status',
      state: 'Toestand',
      event_id: 'Melding',
      entity_type: 'Onderwerp',
      rows_per_second: 'Rijen per seconde',
    },
  },
  health: {
    title: 'Status',
    allWell: 'Alles werkt.',
    unknown: 'Nu niet bekend',
    noChange: 'Nog geen',
    states: {
      starting: { word: 'Start', what: 'Maakt verbinding met de database.' },
      streaming: { word: 'Leest mee', what: 'Wijzigingen worden gelezen zodra ze zijn vastgelegd.' },
      'standing by': {
        word: 'Stand-by',
        what: 'Een ander proces van walhook leest de wijzigingen. Dit proces neemt het over als dat stopt.',
      },
      lagging: { word: 'Loopt achter', what: 'Het lezen loopt meer dan een halve minuut achter.' },
      gap: {
        word: 'Gat',
        what: 'Wijzigingen worden gelezen. Sommige gingen verloren en moeten met een resync worden hersteld.',
      },
      blocked: { word: 'Geblokkeerd', what: 'Er moet eerst iets in de database worden hersteld.' },
      lost: {
        word: 'Kwijt',
        what: 'Wijzigingen kunnen niet meer worden gelezen vanaf waar het lezen stopte.',
      },
      'not a role of this process': {
        word: 'Elders',
        what: 'Dit proces van walhook leest geen wijzigingen: een ander doet dat.',
      },
    },
    figures: {
      capture: 'Lezen',
      lag: 'Achterstand',
      lagHint: 'WAL die de database heeft geschreven en die walhook nog moet opslaan.',
      heldBack: 'Bewaarde WAL',
      heldBackHint:
        'WAL die de database op schijf bewaart tot walhook hem heeft gelezen. Kijk ernaar boven 1 GB.',
      probe: 'Leesvertraging',
      probeHint: 'Tijd van een wijziging in de database tot de melding, bij de laatste meting.',
      lastChange: 'Laatste wijziging',
      lastChangeHint: 'Wanneer er voor het laatst een gebruiker of bedrijf is gewijzigd.',
      waiting: 'In de wachtrij',
      waitingHint: entities =>
        `Meldingen die nog afgeleverd moeten worden. Gebruikers of bedrijven: ${entities}.`,
      dead: 'Onbestelbaar',
      deadHint: 'Meldingen waarvan alle pogingen mislukten. Ze kunnen opnieuw worden verstuurd.',
    },
    findings: {
      capture_lost: {
        what: 'Er gaan wijzigingen verloren.',
        advice:
          'Ze kunnen niet meer worden gelezen. Voer “walhook resync” uit: dat stuurt elke webhook de huidige stand, en zegt eerst wat het gaat doen.',
      },
      capture_blocked: {
        what: 'Een probleem in de database houdt het lezen tegen.',
        advice:
          'Geef de zin hierboven aan wie de database beheert: daar staat wat er moet gebeuren. Daarna gaat walhook vanzelf verder, en intussen gaat er niets verloren.',
      },
      no_source: {
        what: 'De database van de applicatie antwoordt niet.',
        advice:
          'Controleer of hij draait en of walhook hem kan bereiken. Wat al was opgeslagen wordt intussen verstuurd, en er gaat niets verloren.',
      },
      cell_away: {
        what: 'Een cel antwoordt niet: de koppelingen in die cel krijgen nu niets.',
        advice:
          'Start de database van de cel, of herstel de verbinding. De koppelingen gaan dan vanzelf verder: hun gebeurtenissen wachten in het log, dat zo lang bewaard blijft. Alle andere koppelingen gaan gewoon door.',
      },
      gap: {
        what: 'Er zijn eerder wijzigingen verloren gegaan, en ontvangers missen die nog.',
        advice: 'Hieronder staat wanneer. Voer “walhook resync” uit om de huidige stand te versturen.',
      },
      resyncing: {
        what: 'Er zijn wijzigingen verloren gegaan. Een resync verstuurt de huidige stand.',
        advice:
          'Dat gaat vanzelf verder, terwijl nieuwe wijzigingen worden gelezen. “walhook resync” zegt hoe ver het is.',
      },
      mapping_lost: {
        what: 'Een tabel of kolom uit de mapping is uit de database verwijderd.',
        advice:
          'Al het andere wordt nog verstuurd. Maak hem opnieuw aan en voer daarna “walhook resync --entity” uit. Is hij voorgoed weg, haal hem dan uit de mapping en herstart walhook.',
      },
      mapping_refused: {
        what: 'Het nieuwe mappingbestand is geweigerd. De vorige mapping blijft gelden.',
        advice:
          'De redenen staan hierboven. Verbeter het bestand en stuur opnieuw SIGHUP. Tot dan mislukt een herstart.',
      },
      backfill_failed: {
        what: 'Een backfill is mislukt.',
        advice:
          'De zin hierboven zegt waarom. Is dat verholpen, start hem dan opnieuw met “walhook backfill”.',
      },
      webhooks_unwell: {
        what: 'Webhooks hebben een storing of zijn uitgeschakeld.',
        advice:
          'Open een webhook om te zien wat de ontvanger antwoordt. Bij een storing probeert walhook het vanzelf opnieuw; een uitgeschakelde webhook moet je weer activeren.',
      },
      mails_failed: {
        what: 'Mails met waarschuwingen zijn niet aangekomen.',
        advice:
          'Controleer WALHOOK_SMTP_URL, WALHOOK_MAIL_FROM en de adressen van de webhooks. Een mail wordt een dag lang geprobeerd; deze melding verdwijnt na een week.',
      },
      capture_starting: {
        what: 'Er wordt verbinding gemaakt met de database.',
        advice: 'Dat duurt een paar seconden. Duurt het langer, dan staat in de log van walhook waarom.',
      },
      capture_lagging: {
        what: 'Wijzigingen komen met vertraging binnen.',
        advice:
          'Een grote import veroorzaakt dit, en dat trekt vanzelf bij. Blijft de achterstand groeien, kijk dan of de database van walhook overbelast is.',
      },
      much_held_back: {
        what: 'De database bewaart veel WAL voor walhook, en de schijf kan vol raken.',
        advice:
          'Controleer hieronder of walhook leest. Ook een transactie die open is blijven staan, houdt WAL vast. Met max_slot_wal_keep_size stel je een grens in.',
      },
      long_queue: {
        what: 'Er staan veel meldingen in de wachtrij.',
        advice:
          'In de lijst met koppelingen zie je bij welke webhook. Misschien is de ontvanger traag of weg; een webhook die niet meer nodig is, kun je op inactief zetten.',
      },
      many_failures: {
        what: 'Meer dan de helft van de verzoeken van het afgelopen uur is mislukt.',
        advice:
          'In de lijst met koppelingen zie je welke ontvangers ze niet accepteren. Stuur er een een test: dan zie je waarom.',
      },
      fanning_out: {
        what: 'Er is een rij gewijzigd die heel veel gebruikers of bedrijven tonen. Ze worden één voor één verstuurd, pagina na pagina.',
        advice:
          'Er gaat niets verloren, en andere wijzigingen worden intussen verstuurd. Het gaat vanzelf verder, ook na een herstart.',
      },
      dead: {
        what: 'Er zijn onbestelbare meldingen.',
        advice:
          'Elke poging om ze af te leveren is mislukt. Is de oorzaak verholpen, verstuur ze dan opnieuw op de pagina Log van de webhook.',
      },
    },
    fanOut: (field, done, of) =>
      of === null ? `${field}: ${done} klaar.` : `${field}: ${done} van ${of} klaar.`,
    lastHour: 'Het afgelopen uur, verzoeken per minuut',
    lastDay: 'De afgelopen dag, verzoeken per minuut',
    plotLabel: (delivered, failed) => `${delivered} afgeleverd, ${failed} mislukt.`,
    sampled: 'Geschat uit een steekproef.',
    delivered: 'Afgeleverd',
    failed: 'Mislukt',
    from: 'Vanaf',
    asTable: 'Als tabel',
    gaps: 'Verloren wijzigingen',
    gapsHint: 'Perioden waarin wijzigingen niet gelezen konden worden.',
    columns: { found: 'Gevonden', why: 'Waarom', mended: 'Hersteld' },
    notYet: 'Nog niet',
  },
  cells: {
    title: 'Cellen',
    hint: 'Een cel bevat een deel van de koppelingen. Een cel die niet antwoordt, houdt alleen die op.',
    columns: {
      name: 'Cel',
      state: 'Toestand',
      webhooks: 'Koppelingen',
      behind: 'Nog niet gekopieerde gebeurtenissen',
    },
    ok: 'Antwoordt',
    away: 'Weg',
    unknown: 'Onbekend',
    missing: (names: string) =>
      `Niet alles is te zien. Cellen die niet antwoorden: ${names}. Hun koppelingen ontbreken hier.`,
    missingForTenant: 'Mogelijk is niet alles te zien: een deel van walhook antwoordt nu niet.',
  },
}
