import type { bulk as english } from '../en/bulk.ts'

export const bulk: typeof english = {
  bulk: {
    replay: 'Periode herhalen',
    replayWhat:
      'Verstuurt de meldingen van een periode nog een keer, ook afgeleverde: die waarvoor deze webhook de triggers heeft en die het filter niet uitsluit. Meldingen over hetzelfde onderwerp blijven op volgorde. Eindigt de periode in het verleden, dan houdt de ontvanger de toestand van toen.',
    from: 'Vanaf',
    to: 'Tot (leeg: nu)',
    noFrom: 'Vul in wanneer de periode begint.',
    allTriggers: 'Alle triggers van deze webhook',
    count: 'Tellen',
    events: count => `Te versturen meldingen: ${count}.`,
    noEvents: 'Van deze periode zou geen enkele melding worden verstuurd.',
    about: count => `ongeveer ${count}`,
    estimated:
      'Het zijn er te veel om allemaal te tellen: dit is een schatting op grond van de oudste en de nieuwste.',
    keptSince:
      'Oudere meldingen van deze periode worden niet meer bewaard en kunnen niet worden verstuurd. Er worden meldingen bewaard sinds',
    noRate:
      'In de afgelopen minuut is bij deze webhook niets afgeleverd, dus hoelang het duurt is nog niet te zeggen.',
    atRate: (rate, time) =>
      `In het tempo van de afgelopen minuut (${rate} meldingen per seconde): ongeveer ${time}.`,
    startReplay: 'Herhaling starten',
    replays: 'Herhalingen',
    replaysKept:
      'De laatste 100 herhalingen blijven hier staan. Wie elke herhaling heeft gestart, staat in het logboek.',
    noReplays: 'Voor deze webhook is nog niets herhaald.',
    replayDone: {
      started: 'De herhaling is gestart. Zij gaat door als je deze pagina verlaat.',
      stopped: 'De herhaling is gestopt. Wat al in de wachtrij stond, blijft daar: de log kan dat annuleren.',
    },
    pending: count => `Meldingen in de wachtrij van deze webhook of onderweg: ${count}.`,
    ofMissed: 'Gemiste meldingen',
    done: (done, total) => `${done} van ${total} meldingen`,
    queued: count => `In de wachtrij gezet: ${count}. De andere stonden er al.`,
    columns: { started: 'Gestart', range: 'Periode', progress: 'Voortgang', state: 'Status' },
    states: {
      waiting: 'Wacht',
      running: 'Bezig',
      done: 'Klaar',
      cancelled: 'Gestopt',
      failed: 'Mislukt',
    },
    progress: 'Voortgang',
    stop: 'Stoppen',
    switchedOff: 'De webhook is intussen uitgezet.',
    missed: count => `Meldingen die zijn gemist toen hij inactief was: ${count}.`,
    missedRest: count =>
      `Meldingen gemist toen hij inactief was, die de vorige keer niet zijn bereikt: ${count}.`,
    notReached: count => `Niet bereikte meldingen: ${count}.`,
    waits: 'Het gaat nu even niet verder. walhook probeert het vanzelf opnieuw.',
    missedNone: 'Van de bewaarde meldingen is er geen gemist toen hij inactief was.',
    sendMissed: 'Gemiste meldingen versturen',
    backfill: 'Backfill',
    backfillWhat:
      'Verstuurt elke rij die een tabel nu heeft naar deze webhook, op volgorde met nieuwe wijzigingen: de ontvanger krijgt nooit een oudere toestand na een nieuwere.',
    pace: 'Rijen per seconde, hooguit',
    paceHint: 'Een backfill wacht zolang er meer dan 10.000 meldingen in de wachtrij van de webhook staan.',
    wrongPace: most => `Vul een geheel getal van 1 tot ${most} in.`,
    noTrigger:
      'Deze webhook heeft geen trigger waarmee rijen van een tabel worden verstuurd. Geef hem er eerst een.',
    rows: count => `ongeveer ${count} rijen, verstuurd als`,
    rowsUnknown: 'Postgres heeft geen statistieken van deze tabel; de rijen worden verstuurd als',
    atPace: (pace, time) => `Met ${pace} rijen per seconde: minstens ${time}.`,
    rowsHint:
      'Volgens de statistieken van Postgres. Rijen die de mapping of het filter van deze webhook uitsluit, worden gelezen en niet verstuurd.',
    backfillInactive: 'Zet de webhook op actief om rijen te versturen.',
    startBackfill: 'Backfill starten',
    backfills: 'Backfills',
    noBackfills: 'Voor deze webhook was er nog geen backfill.',
    backfillDone: {
      started: 'De backfill is gestart. Hij gaat door als je deze pagina verlaat.',
      stopped: 'De backfill is gestopt. Wat al verstuurd is of in de wachtrij staat, blijft zo.',
    },
    everyWebhook: 'Naar elke webhook met de trigger',
    rowsOf: (done, total) => `${done} van ongeveer ${total} rijen gelezen`,
    rowsDone: done => `Gelezen rijen: ${done}`,
    rate: rate => `${rate} rijen per seconde.`,
    doneAbout: 'Klaar rond',
  },
}
