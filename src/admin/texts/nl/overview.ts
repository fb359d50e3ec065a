import type { overview as en } from '../en/overview.ts'

export const overview: typeof en = {
  overview: {
    title: 'Overzicht',
    successDay: 'Gelukt, 24 uur',
    successWeek: 'Gelukt, 7 dagen',
    ofRequests: (failed, all) => `${failed} van ${all} verzoeken mislukt.`,
    responseTime: 'Antwoordtijd, 24 uur',
    responseTimeHint: 'p50 / p95: 50% en 95% van de antwoorden duurde niet langer dan dit.',
    noResponses: 'Geen antwoorden in deze periode.',
    responseTimeLabel: (p50, p95) => `p50 ${p50}, p95 ${p95}.`,
    p50: 'p50',
    p95: 'p95',
    oldest: 'Langst in de wachtrij',
    oldestAtLeast: 'Er staan heel veel events in de wachtrij. Het oudste kan ouder zijn dan dit.',
    noPending: 'De wachtrij is leeg',
    requestsDay: 'Verzoeken per uur, 24 uur',
    requestsWeek: 'Verzoeken per 6 uur, 7 dagen',
    responseTimeDay: 'Antwoordtijd, 24 uur',
    responseTimeWeek: 'Antwoordtijd, 7 dagen',
  },
}
