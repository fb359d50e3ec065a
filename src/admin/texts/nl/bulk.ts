import type { bulk as english } from '../en/bulk.ts'

export const bulk: typeof english = {
  bulk: {
    replay: 'Periode herhalen',
    replayWhat:
      'Verstuurt de events van een periode opnieuw, ook afgeleverde, voor zover deze webhook de triggers heeft en het filter ze doorlaat. Events van dezelfde entiteit blijven op volgorde. Eindigt de periode in het verleden, dan houdt de ontvanger de stand van toen over.',
    from: 'Vanaf',
    to: 'Tot (leeg: nu)',
    noFrom: 'Vul het begin van de periode in.',
    allTriggers: 'Alle triggers van deze webhook',
    count: 'Tellen',
    events: count => `Events om te versturen: ${count}.`,
    noEvents: 'Deze periode heeft geen events om te versturen.',
    about: count => `ongeveer ${count}`,
    estimated: 'Geschat op basis van de oudste en nieuwste events: het zijn er te veel om te tellen.',
    keptSince: 'Oudere events van deze periode worden niet meer bewaard. Events worden bewaard sinds',
    noRate: 'In de afgelopen minuut is niets bij deze webhook afgeleverd, dus de duur is onbekend.',
    atRate: (rate, time) =>
      `In het tempo van de afgelopen minuut (${rate} events per seconde): ongeveer ${time}.`,
    startReplay: 'Herhaling starten',
    replays: 'Herhalingen',
    replaysKept: 'De laatste 100 herhalingen. In het logboek staan ze allemaal.',
    noReplays: 'Nog geen herhalingen.',
    replayDone: {
      started: 'Herhaling gestart. Ze gaat door als je deze pagina verlaat.',
      stopped: 'Herhaling geannuleerd. Haar events blijven in de wachtrij. Je kunt ze in de log annuleren.',
    },
    pending: count => `In de wachtrij van deze webhook of onderweg: ${count}.`,
    ofMissed: 'Gemiste events',
    done: (done, total) => `${done} van ${total} events`,
    queued: count => `In de wachtrij gezet: ${count}. De andere stonden er al.`,
    columns: { started: 'Gestart', range: 'Periode', progress: 'Voortgang', state: 'Status' },
    states: {
      waiting: 'Wacht',
      running: 'Bezig',
      done: 'Klaar',
      cancelled: 'Geannuleerd',
      failed: 'Mislukt',
    },
    progress: 'Voortgang',
    stop: 'Annuleren',
    switchedOff:
      'De webhook is intussen gedeactiveerd of uitgeschakeld. Activeer hem en start dan een herhaling van de rest.',
    missed: count => `Events gemist terwijl de webhook inactief was: ${count}.`,
    missedRest: count =>
      `Events gemist terwijl de webhook inactief was, die de vorige herhaling niet heeft bereikt: ${count}.`,
    notReached: count => `Niet bereikte events: ${count}.`,
    waits: 'De herhaling is onderbroken. walhook probeert het vanzelf opnieuw.',
    missedNone: 'Van de bewaarde events is er geen gemist terwijl de webhook inactief was.',
    sendMissed: 'Gemiste events versturen',
    backfill: 'Backfill',
    backfillWhat:
      'Verstuurt elke bestaande rij van een tabel naar deze webhook, op volgorde met nieuwe wijzigingen: de ontvanger krijgt nooit een oudere stand na een nieuwere.',
    pace: 'Maximumaantal rijen per seconde',
    paceHint: 'Een backfill pauzeert zolang er meer dan 10.000 events in de wachtrij van de webhook staan.',
    wrongPace: max => `Gebruik een geheel getal van 1 tot ${max}.`,
    noTrigger: triggers =>
      `Een backfill verstuurt rijen als ${triggers}, en deze webhook heeft zo’n trigger niet. Voeg die eerst toe:`,
    rows: count => `ongeveer ${count} rijen, verstuurd als`,
    rowsUnknown: 'Postgres heeft geen statistieken van deze tabel. De rijen worden verstuurd als',
    atPace: (pace, time) => `Met ${pace} rijen per seconde: minstens ${time}.`,
    rowsHint:
      'Volgens de statistieken van Postgres. Rijen die de mapping of het filter van deze webhook uitsluit, leest walhook wel, maar verstuurt het niet.',
    backfillInactive: 'Activeer de webhook om rijen te versturen.',
    startBackfill: 'Backfill starten',
    backfills: 'Backfills',
    noBackfills: 'Nog geen backfills.',
    backfillDone: {
      started: 'Backfill gestart. Hij gaat door als je deze pagina verlaat.',
      stopped: 'Backfill geannuleerd. Zijn events blijven in de wachtrij.',
    },
    everyWebhook: 'Naar elke webhook met de trigger',
    rowsOf: (done, total) => `${done} van ongeveer ${total} rijen gelezen`,
    rowsDone: done => `Gelezen rijen: ${done}`,
    rate: rate => `${rate} rijen per seconde.`,
    doneAbout: 'Klaar rond',
  },
}
