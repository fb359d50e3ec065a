import type { Texts } from '../en.ts'

export const alerts: Pick<Texts, 'alerts' | 'managed'> = {
  alerts: {
    title: 'Waarschuwingen',
    hint: 'Wat walhook over zichzelf meldt: aan deze webhook, of per mail over deze webhook.',
    triggers: 'Waarschuwingen die naar deze webhook gaan',
    triggersHint:
      'Over elke andere webhook, en over het lezen van de database. Nooit over deze webhook zelf, en nooit over het afleveren van een waarschuwing.',
    mail: 'Mail over deze webhook aan',
    mailHint:
      'E-mailadressen, gescheiden door komma’s. Eén mail als de webhook een minuut lang mislukt, weer werkt, is uitgeschakeld, of onbestelbare meldingen heeft.',
    short: 'Waarschuwingen',
    of: {
      'webhook.failing': 'Een webhook mislukt',
      'webhook.recovered': 'Een webhook werkt weer',
      'webhook.disabled': 'Een webhook is uitgeschakeld',
      'delivery.dead': 'Meldingen zijn onbestelbaar',
      'capture.lost': 'Er zijn wijzigingen verloren',
      'capture.blocked': 'Het lezen staat stil',
      'capture.lagging': 'Het lezen loopt achter',
    },
    about: { webhook: 'webhook', delivery: 'webhook', capture: 'slot' },
    mailsFailed: (failed, givenUp, error) =>
      `Mislukt, wordt opnieuw geprobeerd: ${failed}. Opgegeven: ${givenUp}. De laatste fout: ${error}.`,
    mailsWait: waiting => `Wachtend: ${waiting}. WALHOOK_SMTP_URL is niet ingesteld.`,
  },
  managed: {
    badge: 'Als code',
    notice: source =>
      `Deze webhook wordt als code beheerd, in ${source}. Wijzig hem daar: de volgende “walhook apply” zou een wijziging hier ongedaan maken.`,
    takeOver: 'Met de hand beheren',
    takeOverHint:
      'Daarna kan hij hier worden gewijzigd. Haal hem ook uit het bestand: anders neemt de volgende apply hem terug.',
    taken: 'Vanaf nu wordt deze webhook met de hand gewijzigd.',
  },
}
