import type { Texts } from '../en.ts'

export const alerts: Pick<Texts, 'alerts' | 'recipients' | 'managed'> = {
  alerts: {
    title: 'Waarschuwingen',
    hint: 'Waarschuwingen van walhook, naar deze webhook of per e-mail over deze webhook.',
    triggers: 'Waarschuwingen die naar deze webhook gaan',
    triggersHint:
      'Over alle andere webhooks en over het lezen van wijzigingen. Een webhook krijgt geen waarschuwingen over zichzelf of over het afleveren van waarschuwingen.',
    mail: 'E-mail over deze webhook aan',
    mailHint:
      'E-mailadressen, gescheiden door komma’s. walhook stuurt één e-mail als de webhook een minuut lang een storing heeft, weer werkt, is uitgeschakeld, of onbestelbare events heeft.',
    short: 'Waarschuwingen',
    of: {
      'webhook.failing': 'Een webhook heeft een storing',
      'webhook.recovered': 'Een webhook werkt weer',
      'webhook.disabled': 'Een webhook is uitgeschakeld',
      'delivery.dead': 'Nieuwe onbestelbare events',
      'capture.lost': 'Er zijn wijzigingen verloren gegaan',
      'capture.blocked': 'Het lezen is geblokkeerd',
      'capture.lagging': 'Het lezen loopt achter',
    },
    about: { webhook: 'webhook', delivery: 'webhook', capture: 'slot' },
    mailsFailed: (failed, givenUp, error) =>
      `Wordt opnieuw geprobeerd: ${failed}. Opgegeven: ${givenUp}. Laatste fout: ${error}.`,
    mailsWait: waiting =>
      `In de wachtrij: ${waiting}. Er draait geen proces met een SMTP-server: stel WALHOOK_SMTP_URL en WALHOOK_MAIL_FROM in.`,
    unasked: {
      noPublicUrl: count =>
        `Adressen die wachten op de publieke URL van walhook: ${count}. De e-mail die het vraagt heeft een link: stel WALHOOK_URL in.`,
      noServer: count =>
        `Adressen die wachten op een SMTP-server: ${count}. Stel WALHOOK_SMTP_URL en WALHOOK_MAIL_FROM in.`,
      failed: (count, error) =>
        `E-mails die de SMTP-server niet accepteerde: ${count}. Laatste fout: ${error}. Controleer WALHOOK_SMTP_URL en WALHOOK_MAIL_FROM.`,
    },
  },
  recipients: {
    title: 'Ontvangers van e-mails',
    hint: 'Een adres krijgt waarschuwingen over deze webhook zodra de eigenaar het heeft bevestigd.',
    states: {
      asking: { word: 'Wordt gevraagd', what: 'walhook gaat het de eigenaar per e-mail vragen.' },
      failed: {
        word: 'Mislukt',
        what: 'De mailserver accepteerde de e-mail die het de eigenaar vraagt niet',
      },
      asked: {
        word: 'Gevraagd',
        what: 'De eigenaar bevestigt met de link in de e-mail. Die kan bij de spam zitten.',
      },
      confirmed: { word: 'Bevestigd', what: 'Krijgt waarschuwingen.' },
      stopped: {
        word: 'Stopgezet',
        what: 'De eigenaar heeft deze e-mails stopgezet, en kan ze weer aanzetten met de link in een eerdere.',
      },
    },
    askedAt: 'Verstuurd',
    failedMend:
      'Controleer het adres. Klopt het, dan moet de beheerder van walhook WALHOOK_SMTP_URL controleren.',
    nextAt: 'walhook probeert het opnieuw op',
    noRetry: 'walhook probeert het niet vanzelf opnieuw.',
    again: 'Opnieuw vragen',
    asked: 'walhook stuurt de e-mail met de link opnieuw.',
    pageTitle: 'Waarschuwingen per e-mail',
    decided: {
      nothing: address =>
        `Iemand wil dat walhook waarschuwingen over webhooks naar ${address} stuurt. walhook stuurt er geen totdat je dit bevestigt.`,
      confirmed: address => `walhook stuurt waarschuwingen over webhooks naar ${address}.`,
      stopped: address => `walhook stuurt geen waarschuwingen naar ${address}, en vraagt er niet meer om.`,
    },
    confirm: 'Stuur mij waarschuwingen',
    stop: 'Stuur mij niets',
    unknown: 'Deze link werkt niet',
    unknownWhat: 'Open de link in de nieuwste e-mail van walhook.',
  },
  managed: {
    badge: 'Als code',
    notice: source =>
      `Deze webhook wordt als code beheerd, in ${source}. Wijzig hem daar: de volgende “walhook apply” overschrijft wijzigingen die je hier maakt.`,
    takeOver: 'Hier beheren',
    takeOverHint:
      'Daarna kun je hem hier wijzigen. Haal hem ook uit het bestand: anders neemt de volgende apply hem weer over.',
    taken: 'Je beheert deze webhook nu hier.',
  },
}
