import { type ExplainTexts, shortened } from '../../../domain/failure/explain-texts.ts'
import { failureInDutch } from '../failure.ts'

const count = (attempts: number) => (attempts === 1 ? 'één poging' : `${attempts || 'geen'} pogingen`)
const behind = ({ event, entityType }: { event: bigint; entityType: string }, what: string) =>
  `In de wachtrij achter event ${event} van dezelfde entiteit (${entityType}), ${what}: walhook verstuurt events van een entiteit op volgorde.`

export const explainTextsNl: ExplainTexts = {
  delivered: (at, attempt) => `Afgeleverd op ${at}, bij poging ${attempt}.`,
  deliveredBefore: at => `Het event is eerder afgeleverd, op ${at}.`,
  lastTried: (at, attempt) =>
    `De ontvanger accepteerde poging ${attempt}, op ${at}, niet. Het event staat niet meer in de wachtrij.`,
  noTrace: () =>
    'De webhook had de trigger van dit event, maar van een aflevering is niets bewaard: de log van toen is verwijderd, of de webhook is rond dat moment gewijzigd.',
  inFlight: () => 'Onderweg: de ontvanger heeft nog niet geantwoord.',
  behindInFlight: of => behind(of, 'dat onderweg is'),
  behindRetried: (of, at) => behind(of, `met een nieuwe poging op ${at}`),
  behindDue: of => behind(of, 'dat aan de beurt is'),
  behindFirst: of => behind(of, 'dat voorgaat'),
  blocked: () => 'Niet verstuurd: het adres is niet toegestaan.',
  notAccepted: () => 'Nog niet geaccepteerd.',
  nextAttempt: (attempt, at) => `Poging ${attempt} volgt op ${at}.`,
  inactive: () => 'In de wachtrij tot de webhook weer actief is: een beheerder heeft hem op inactief gezet.',
  disabled: at =>
    `In de wachtrij tot de webhook weer actief is: hij is${at === null ? '' : ` op ${at}`} uitgeschakeld.`,
  held: until => `In de wachtrij tot ${until}: de ontvanger vroeg om een pauze.`,
  next: () => 'Aan de beurt: walhook verstuurt het event zodra de webhook ruimte heeft voor een verzoek.',
  noProcess: () => 'In de wachtrij tot een proces van walhook aflevert: nu doet geen enkel proces dat.',
  catchingUp: () => 'In de wachtrij: walhook verstuurt eerst de eerdere events van deze webhook.',
  dead: (at, attempts) => `Onbestelbaar sinds ${at}, na ${count(attempts)}.`,
  lastFailure: reason => `De laatste fout: ${reason}`,
  canBeResent: () => 'Je kunt het opnieuw versturen.',
  superseded: by =>
    `Vervangen door ${by === null ? 'een nieuwer event' : `event ${by}`}: de webhook krijgt van elke entiteit alleen de laatste stand.`,
  cancelled: (at, attempts) => `Geannuleerd op ${at}, na ${count(attempts)}.`,
  otherTenant: () => 'Niet verstuurd: het event hoort bij een andere organisatie dan de webhook.',
  madeLater: at =>
    `Niet verstuurd: de webhook is aangemaakt op ${at}, na het event. Je kunt het event herhalen.`,
  movedLater: at =>
    `Onbekend: de webhook is op ${at}, na het event, naar zijn cel verplaatst. De instellingen van daarvoor zijn daar niet vastgelegd. De log van de webhook toont wat er is verstuurd.`,
  forAnother: id => `Niet verstuurd: een backfill heeft het event alleen voor webhook ${id} aangemaakt.`,
  inactiveThen: () => 'Niet verstuurd: de webhook was toen inactief.',
  disabledThen: () => 'Niet verstuurd: de webhook was toen uitgeschakeld.',
  asItIsNow: () => 'Dit is de huidige instelling. De instelling van toen is niet vastgelegd.',
  filtered({ field, json, isOver, wanted, hasLeft }) {
    const is = json === null ? 'staat niet in het event' : `${isOver ? 'was' : 'is'} ${json}`
    const left = hasLeft
      ? ' De entiteit viel er eerder binnen, en de webhook krijgt niets als een entiteit buiten het filter valt.'
      : ''
    return `Niet verstuurd: ${field} ${is}, en het filter wil ${shortened(wanted.join(' of '))}.${left}`
  },
  notSubscribed: trigger => `Niet verstuurd: de webhook had de trigger ${trigger} niet.`,
  noWantedField: (changed, wanted) =>
    `Niet verstuurd: de update wijzigde ${changed.join(', ') || 'geen veld'}, en de webhook krijgt alleen updates van ${wanted.join(', ')}.`,
  alertNotSubscribed: trigger => `Niet verstuurd: de webhook heeft de trigger ${trigger} niet.`,
  alertForOthers: () =>
    'Niet verstuurd: een waarschuwing gaat naar de webhooks die op dat moment actief zijn en de trigger hebben, behalve naar de webhook waar ze over gaat.',
  reason: failureInDutch,
}
