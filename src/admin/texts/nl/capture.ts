import type { CaptureCode } from '../../../domain/capture/capture-code.ts'
import type { PageCode } from '../../../domain/capture/page-failures.ts'

/** The meaning and fix of each capture code, in Dutch. The English reason has the details. */
export const captureCodesNl: Record<CaptureCode, string> = {
  'capture.source_unavailable':
    'De brondatabase antwoordt niet, weigert de verbinding of verbreekt die. Controleer of de server van DATABASE_URL draait, bereikbaar is en verbindingen vrij heeft: walhook check.',
  'capture.outbox_unavailable':
    'De database van de outbox antwoordt niet, weigert de verbinding of verbreekt die. Controleer of de server van OUTBOX_DATABASE_URL (of anders DATABASE_URL) draait, bereikbaar is en verbindingen vrij heeft.',
  'capture.timed_out':
    'Een time-out of een beheerder breekt het werk van walhook in een database steeds af. Zoek wat dat doet: een time-out van de database of de rol, een pooler, of pg_terminate_backend.',
  'capture.source_problem':
    'Iets in de brondatabase past niet bij de mapping of zou schade doen. Doe wat de melding zegt; walhook kijkt elke paar seconden opnieuw. “walhook check” toont alles in één keer.',
  'capture.unasked_message':
    'De server stuurt een soort bericht dat walhook niet kent. Werk walhook bij. Is dit de nieuwste versie: stop walhook, voer “walhook resync --force --yes” uit en start het weer.',
  'capture.cannot_read':
    'Dezelfde plaats in de WAL kan steeds niet worden gelezen. Doe wat de melding zegt. Helpt dat niet: stop walhook, voer “walhook resync --force --yes” uit en start het weer.',
  'capture.cannot_store':
    'De outbox weigert steeds wat is gelezen. Doe wat de melding zegt: schijf vol, rechten, een ontbrekende tabel (walhook migrate). Helpt dat niet: stop walhook, voer “walhook resync --force --yes” uit en start het weer.',
  'capture.changes_lost':
    'Er gingen wijzigingen verloren; dat is vastgelegd. Stop walhook, voer “walhook resync” uit en start het weer.',
  'capture.mapping_lost':
    'De bron heeft iets verwijderd dat de mapping noemt; al het andere wordt gelezen. Maak het opnieuw aan en voer “walhook resync --entity ONDERWERP” uit, of haal het uit de mapping (WALHOOK_CONFIG) en start walhook opnieuw.',
  'capture.table_gap':
    'Van afzonderlijke tabellen gingen wijzigingen verloren; de rest wordt gelezen. Voer voor elk genoemd onderwerp “walhook resync --entity ONDERWERP” uit; walhook draait intussen door.',
}

/** The same for pages of a backfill or resync. */
export const pageCodesNl: Record<PageCode, string> = {
  'page.receiver_waits':
    'Een webhook waarvoor de rijen zijn, kan nu niet meer ontvangen. Activeer hem, geef hem de trigger, of laat hem de wachtrij verwerken. Het gaat vanzelf verder.',
  'page.receiver_gone':
    'De webhook waarvoor de rijen waren, is verwijderd. Start een andere backfill voor een andere webhook, als de rijen nodig zijn.',
  'page.entity_gone':
    'De mapping noemt het onderwerp niet meer, of de tabel is verwijderd. Zet het onderwerp terug in de mapping (WALHOOK_CONFIG) en herstart walhook, of maak de tabel opnieuw; begin daarna opnieuw.',
  'page.source_problem':
    'De tabellen kunnen zo niet worden gelezen. Doe wat de melding zegt. Het gaat vanzelf verder.',
  'page.unavailable':
    'Een database antwoordt niet, weigert de verbinding of verbreekt die. Controleer of beide databases draaien en bereikbaar zijn: walhook check. Het gaat vanzelf verder.',
  'page.timed_out':
    'Een pagina lezen of opslaan duurt langer dan een lock of time-out toelaat. Beëindig wie een lock op de tabel heeft (walhook check noemt die), of maak een index op de sleutel. Het gaat vanzelf verder.',
  'page.failed':
    'Dezelfde pagina mislukt steeds. Doe wat de melding zegt. Een resync gaat dan vanzelf verder; start een backfill opnieuw: walhook backfill.',
}

/** Why changes were lost, by the reason of a gap. */
export const gapReasonsNl: ReadonlyMap<string, string> = new Map([
  ['other cluster', 'DATABASE_URL verwijst naar een ander cluster dan voorheen.'],
  ['other database', 'DATABASE_URL verwijst naar een andere database dan voorheen.'],
  [
    'other history',
    'De brondatabase is teruggezet naar een eerder moment, of verloor wat al was geschreven.',
  ],
  ['slot missing', 'Het replicatieslot is verwijderd, of overleefde een failover niet.'],
  [
    'slot invalidated',
    'PostgreSQL heeft WAL verwijderd die walhook nog moest lezen (max_slot_wal_keep_size).',
  ],
  ['slot moved', 'Het replicatieslot staat verder dan walhook heeft bevestigd.'],
  ['slot older than publication', 'Het replicatieslot is ouder dan de publicatie.'],
  ['publication missing', 'De publicatie is verwijderd.'],
  ['publication remade', 'De publicatie is verwijderd en opnieuw aangemaakt.'],
  ['publication changed', 'De publicatie is gewijzigd.'],
  ['table dropped', 'De tabel is verwijderd.'],
  ['table replaced', 'Een andere tabel heeft nu de naam van deze tabel.'],
  ['table unmapped', 'De tabel stond een tijd niet in de mapping.'],
  ['table unpublished', 'De tabel stond een tijd niet in de publicatie.'],
  ['table unlogged', 'De tabel was unlogged: zulke wijzigingen staan niet in de WAL.'],
  ['partition detached', 'Partities zijn losgekoppeld en weer aangekoppeld.'],
  ['other slot', 'De outbox gaat verder met een ander replicatieslot dan voorheen.'],
  ['given up', 'Een resync is afgedwongen: wat toen nog niet was opgeslagen, is opgegeven.'],
  ['rows unreadable', 'Rijen van de tabel konden niet worden gelezen.'],
  ['partition rewritten', 'Partities zijn geleegd of herschreven.'],
])
