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
      what: 'Met een eigen token heeft iedereen precies de rol die nodig is, toont het logboek wie wat heeft gewijzigd, en kun je één token intrekken zonder gevolgen voor de andere.',
      configured: 'Tot nu toe is er alleen het token uit WALHOOK_ADMIN_TOKEN. Dat staat niet in deze lijst.',
    },
    form: {
      someWrong: 'Er is geen token aangemaakt. Verbeter de velden hieronder.',
      name: 'Naam',
      nameHint: 'De persoon of het programma dat het gebruikt. Het logboek toont deze naam.',
      role: 'Rol',
      roles: {
        viewer: 'Kan alles bekijken behalve geheimen, tokens en het logboek.',
        operator: 'Kan ook tests versturen en events opnieuw versturen.',
        admin: 'Kan alles, ook webhooks, hun geheimen en tokens.',
      },
      user: 'Gebruikersaccount',
      userHint:
        'Het gebruikers-id van de houder, als die er een heeft. Tests versturen de gegevens van dit account.',
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
      strange: 'Dit is te lang, of er staan tekens in die niet bewaard kunnen worden. Vul het opnieuw in.',
      noRole: 'Kies een rol.',
      noExpiry: 'Kies hoe lang het token geldig is.',
      noDay: 'Kies vandaag of een latere dag.',
    },
    created: {
      done: 'Token aangemaakt.',
      token: 'Het token',
      onlyNow: 'Je ziet het maar één keer.',
      hint: 'Kopieer het en geef het op een veilige manier aan de houder. Raakt het kwijt, trek het dan in en maak een nieuw token aan.',
      use: 'Zo gebruik je het',
      useHint: 'Log er hier mee in, of stuur deze header mee met elke API-aanroep:',
      example: 'Header voor de API',
      back: 'Naar Tokens',
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
    only: name => `Je ziet alleen “${name}”.`,
    all: 'Alles tonen',
    newest: 'Nieuwste',
    older: 'Ouder',
    nothing: 'niets',
    changesTo: 'wordt',
    fieldCount: counter('nl', { one: '# veld', other: '# velden' }),
    empty: {
      title: 'Nog geen wijzigingen',
      what: 'Deze pagina toont wie een webhook of token heeft gewijzigd, wanneer en hoe, en wie een geheim heeft bekeken. De geheimen zelf toont ze nooit.',
    },
    actions: {
      'webhook.created': 'Maakte een webhook aan',
      'webhook.changed': 'Wijzigde een webhook',
      'webhook.deleted': 'Verwijderde een webhook',
      'webhook.tried': 'Verstuurde een test voor het opslaan',
      'webhooks.applied': 'Paste een bestand met webhooks toe',
      'webhook.disabled': 'Schakelde een webhook uit',
      'webhook.secret_shown': 'Bekeek een geheim',
      'webhook.secret_rotated': 'Maakte een nieuw geheim aan',
      'recipient.asked': 'Vroeg een adres opnieuw om bevestiging',
      'deliveries.resent': 'Verstuurde mislukte events opnieuw',
      'deliveries.replayed': 'Herhaalde events',
      'deliveries.cancelled': 'Annuleerde de wachtrij',
      'replay.cancelled': 'Annuleerde een herhaling',
      'backfill.started': 'Startte een backfill',
      'backfill.changed': 'Wijzigde het tempo van een backfill',
      'backfill.cancelled': 'Annuleerde een backfill',
      'entity.forgotten': 'Wiste de gegevens van een entiteit',
      'secrets.rekeyed': 'Versleutelde alle geheimen opnieuw',
      'outbox.adopted': 'Verplaatste de outbox naar een andere database',
      'token.created': 'Maakte een token aan',
      'token.revoked': 'Trok een token in',
      'session.linked': 'Maakte een inloglink aan',
      'session.started': 'Logde in',
      'session.refused': 'Weigerde een login',
      'sessions.ended': 'Logde overal uit',
    },
    fields: {
      subject: 'Subject',
      problem: 'Reden',
      tenant: 'Organisatie',
      address: 'Adres',
      failures: 'Onjuiste tokens',
      name: 'Naam',
      url: 'URL',
      is_active: 'Is actief',
      triggers: 'Triggers',
      header_names: 'Eigen headers',
      client_certificate: 'Clientcertificaat',
      previous: 'Vorige waarden',
      traceparent: 'traceparent',
      update_fields: 'Alleen updates van',
      filter: 'Filter',
      filter_entering: 'Als ze binnen het filter komt',
      filter_leaving: 'Als ze buiten het filter valt',
      mode: 'Modus',
      log_bodies: 'Inhoud in de log',
      batch: 'Batch',
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
      status: 'HTTP-status',
      state: 'Status',
      event_id: 'Event',
      entity_type: 'Type entiteit',
      rows_per_second: 'Rijen per seconde',
    },
  },
  health: {
    title: 'Status',
    allWell: 'Alles werkt.',
    unknown: 'Onbekend',
    noChange: 'Nog geen',
    states: {
      starting: { word: 'Start', what: 'Maakt verbinding met de database.' },
      streaming: { word: 'Actief', what: 'walhook leest wijzigingen zodra ze zijn vastgelegd.' },
      'standing by': {
        word: 'Stand-by',
        what: 'Een ander proces van walhook leest de wijzigingen. Dit proces neemt het over als dat stopt.',
      },
      lagging: { word: 'Loopt achter', what: 'Het lezen loopt meer dan een halve minuut achter.' },
      gap: {
        word: 'Gat',
        what: 'walhook leest wijzigingen. Sommige gingen verloren; daarvoor is een resync nodig.',
      },
      blocked: { word: 'Geblokkeerd', what: 'Eerst moet er iets in de database worden hersteld.' },
      lost: {
        word: 'Verloren',
        what: 'walhook kan niet meer verder lezen vanaf waar het stopte.',
      },
      'not a role of this process': {
        word: 'Elders',
        what: 'Dit proces van walhook leest geen wijzigingen; een ander proces doet dat.',
      },
    },
    figures: {
      capture: 'Lezen',
      lag: 'Achterstand',
      lagHint: 'WAL die de database heeft geschreven en die walhook nog niet heeft opgeslagen.',
      heldBack: 'Bewaarde WAL',
      heldBackHint:
        'WAL die de database op schijf bewaart tot walhook die heeft gelezen. Onderzoek het boven 1 GB.',
      probe: 'Leesvertraging',
      probeHint: 'Laatst gemeten tijd van een wijziging in de database tot het event.',
      lastChange: 'Laatste wijziging',
      lastChangeHint: 'Wanneer er voor het laatst een gebruiker of bedrijf is gewijzigd.',
      waiting: 'In de wachtrij',
      waitingHint: entities =>
        `Events die nog afgeleverd moeten worden. Gebruikers of bedrijven: ${entities}.`,
      dead: 'Onbestelbaar',
      deadHint: 'Events waarvan alle pogingen mislukten. Je kunt ze opnieuw versturen.',
    },
    findings: {
      capture_lost: {
        what: 'Er gaan wijzigingen verloren.',
        advice:
          'walhook kan ze niet meer lezen. Voer “walhook resync” uit: dat verstuurt de huidige stand naar elke webhook, en zegt eerst wat het gaat doen.',
      },
      capture_blocked: {
        what: 'Een probleem in de database blokkeert het lezen.',
        advice:
          'Geef de zin hierboven aan de databasebeheerder: daar staat wat er moet gebeuren. Daarna gaat walhook vanzelf verder. Intussen gaat er niets verloren.',
      },
      no_source: {
        what: 'De brondatabase antwoordt niet.',
        advice:
          'Controleer of ze draait en of walhook haar kan bereiken. walhook verstuurt intussen de opgeslagen events, en er gaat niets verloren.',
      },
      cell_away: {
        what: 'Een cel antwoordt niet. De webhooks in die cel krijgen nu niets.',
        advice:
          'Start de database van de cel, of herstel de verbinding. De webhooks gaan dan vanzelf verder: walhook bewaart hun wachtrij. Alle andere webhooks gaan gewoon door.',
      },
      gap: {
        what: 'Er zijn eerder wijzigingen verloren gegaan, en ontvangers missen die nog.',
        advice: 'Hieronder staat wanneer. Voer “walhook resync” uit om de huidige stand te versturen.',
      },
      resyncing: {
        what: 'Er zijn wijzigingen verloren gegaan. Een resync verstuurt de huidige stand.',
        advice:
          'De resync gaat vanzelf verder, terwijl walhook nieuwe wijzigingen leest. “walhook resync” toont de voortgang.',
      },
      mapping_lost: {
        what: 'Een tabel of kolom uit de mapping is uit de database verwijderd.',
        advice:
          'walhook verstuurt al het andere nog. Maak hem opnieuw aan en voer daarna “walhook resync --entity” uit. Is hij voorgoed verwijderd, haal hem dan uit de mapping en herstart walhook.',
      },
      mapping_refused: {
        what: 'walhook heeft het nieuwe mappingbestand geweigerd. De vorige mapping blijft in gebruik.',
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
        what: 'E-mails met waarschuwingen zijn niet aangekomen.',
        advice:
          'Controleer WALHOOK_SMTP_URL, WALHOOK_MAIL_FROM en de adressen van de webhooks. walhook probeert een e-mail een dag lang opnieuw. Deze waarschuwing verdwijnt na een week.',
      },
      mails_unset: {
        what: 'Webhooks hebben adressen voor waarschuwingen, maar walhook stuurt geen e-mails.',
        advice:
          'Stel WALHOOK_SMTP_URL en WALHOOK_MAIL_FROM in en herstart walhook, of haal de adressen weg bij de webhooks.',
      },
      recipients_unasked: {
        what: 'Adressen van organisaties krijgen geen waarschuwingen: walhook kon het hun eigenaars niet vragen.',
        advice:
          'walhook vraagt het vanzelf zodra dit is hersteld. De pagina Instellingen van een webhook toont de status van de adressen.',
      },
      capture_starting: {
        what: 'walhook maakt verbinding met de database.',
        advice: 'Dat duurt een paar seconden. Duurt het langer, dan staat in de log van walhook waarom.',
      },
      capture_lagging: {
        what: 'Wijzigingen komen met vertraging binnen.',
        advice:
          'Een grote import veroorzaakt dit, en walhook haalt dat vanzelf in. Blijft de achterstand groeien, controleer dan de belasting van de outboxdatabase.',
      },
      much_held_back: {
        what: 'De database bewaart veel WAL voor walhook, en de schijf kan vol raken.',
        advice:
          'Controleer hieronder of walhook leest. Ook een transactie die open is blijven staan, houdt WAL vast. Stel een grens in met max_slot_wal_keep_size.',
      },
      long_queue: {
        what: 'Er staan veel events in de wachtrij.',
        advice:
          'De pagina Koppelingen toont bij welke webhook. Misschien is de ontvanger traag of onbereikbaar. Zet webhooks die je niet meer nodig hebt op inactief.',
      },
      many_failures: {
        what: 'Meer dan de helft van de verzoeken van het afgelopen uur is mislukt.',
        advice:
          'De pagina Koppelingen toont bij welke ontvangers. Stuur een van hen een test: dan zie je waarom.',
      },
      fanning_out: {
        what: 'Er is een rij gewijzigd die in heel veel entiteiten voorkomt. walhook verstuurt ze allemaal, pagina na pagina.',
        advice:
          'Er gaat niets verloren, en walhook verstuurt intussen ook andere wijzigingen. Het gaat vanzelf verder, ook na een herstart.',
      },
      dead: {
        what: 'Er zijn onbestelbare events.',
        advice:
          'Elke poging om ze af te leveren is mislukt. Is de oorzaak verholpen, verstuur ze dan opnieuw op de pagina Log van de webhook.',
      },
    },
    fanOut: (field, done, of) =>
      of === null ? `${field}: ${done} klaar.` : `${field}: ${done} van ${of} klaar.`,
    lastHour: 'Het afgelopen uur, verzoeken per minuut',
    lastDay: 'De afgelopen dag, verzoeken per minuut',
    plotLabel: (delivered, failed) => `${delivered} afgeleverd, ${failed} mislukt.`,
    sampled: 'Geschat op basis van een steekproef.',
    delivered: 'Afgeleverd',
    failed: 'Mislukt',
    from: 'Vanaf',
    asTable: 'Als tabel',
    gaps: 'Verloren wijzigingen',
    gapsHint: 'Perioden waarin wijzigingen niet gelezen konden worden.',
    columns: { found: 'Gevonden', why: 'Waarom', resynced: 'Resync klaar' },
    notYet: 'Nog niet',
  },
  cells: {
    title: 'Cellen',
    hint: 'Elke cel heeft een deel van de webhooks. Een cel die niet antwoordt, stopt alleen die.',
    columns: {
      name: 'Cel',
      state: 'Status',
      webhooks: 'Webhooks',
      behind: 'Nog niet gekopieerde events',
    },
    ok: 'Beschikbaar',
    away: 'Niet beschikbaar',
    unknown: 'Onbekend',
    missing: (names: string) =>
      `Deze pagina is onvolledig. Cellen die niet antwoorden: ${names}. Hun webhooks ontbreken hier.`,
    missingForTenant: 'Deze pagina is mogelijk onvolledig: een deel van walhook antwoordt nu niet.',
  },
}
