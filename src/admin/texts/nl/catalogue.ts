import type { Texts } from '../en.ts'

export const catalogue: Pick<Texts, 'catalogue'> = {
  catalogue: {
    lead: 'Wat walhook verstuurt: voor elke trigger de velden, hun typen en een voorbeeld. Voor wie een ontvanger bouwt. De beschrijvingen in een JSON Schema zijn in het Engels.',
    columns: { trigger: 'Trigger', when: 'Wat er gebeurd is', fields: 'Velden', schema: 'Schema' },
    when: {
      new: 'Iets is nieuw, of wordt voor het eerst verstuurd',
      update: 'Iets is gewijzigd',
      delete: 'Iets is weg',
    },
    download: 'Downloaden',
    downloadOf: trigger => `Het JSON Schema van ${trigger} downloaden`,
    downloadSchema: 'JSON Schema downloaden',
    fields: 'Velden van result',
    fieldsOfDelete: 'Velden van last',
    noFields: 'Een verzoek van deze trigger bevat entity_id, entity_type en action_type, en verder niets.',
    mayBeAbsent:
      'Elk veld kan ontbreken: een waarde die niet meer te achterhalen was, is weggelaten. Datums en getallen waar JSON geen vorm voor heeft, zoals oneindig, zijn teksten.',
    field: 'Veld',
    type: 'Type',
    types: {
      boolean: 'ja of nee',
      integer: 'geheel getal',
      number: 'getal',
      string: 'tekst',
      'date-time': 'datum en tijd',
      date: 'datum',
      uuid: 'UUID',
      base64: 'bytes, als Base64',
      enum: 'een van',
      object: 'object',
      any: 'elke JSON',
    },
    always: 'altijd',
    listOf: type => `lijst: ${type}`,
    orNull: type => `${type}, of null`,
    example: 'Voorbeeld',
    exampleHint: 'Verzonnen, alleen uit de typen: niets hiervan komt uit een rij.',
    ofTrigger: trigger => `Velden en typen van ${trigger}`,
    fromForm: 'Alle velden en hun typen staan in de',
    downloadOfWebhook: 'Het JSON Schema van alle verzoeken van deze webhook downloaden',
  },
}
