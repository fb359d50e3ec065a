import { create, replay, resend, sendTest } from './client/act.ts'
import { missed, replays } from './client/missed.ts'
import { list, log, show } from './client/read.ts'
import { ofSubcommands, type Subcommands } from './client/subcommands.ts'
import { schema, types } from './client/types.ts'
import type { Command } from './kit/command.ts'

const subcommands: Subcommands = {
  list,
  show,
  create,
  test: sendTest,
  log,
  resend,
  replay,
  types,
  schema,
  missed,
  replays,
}

/** Operations on webhooks, through the API of a running walhook. */
export const webhooks: Command = {
  usage: `  walhook webhooks list [--tenant TENANT]
                                      list the webhooks of the walhook at WALHOOK_URL, called with WALHOOK_TOKEN:
                                      on a terminal as a table, otherwise (or with --json) as JSON
  walhook webhooks show ID            show one
  walhook webhooks create --name NAME --url URL --trigger user.new [--trigger …] [--header 'Name: value']
                          [--update-field user.email] [--mode latest] [--alert-to ops@example.com]
                          [--tenant TENANT] [--with-traceparent] [--inactive] [--file FILE]
                                      create one, and print its secret; --file takes the JSON of the API (- is
                                      standard input)
  walhook webhooks test ID [--user ID]
                                      send a test now; the exit status is 1 unless the receiver accepts it
  walhook webhooks log ID [REQUEST] [--limit N] [--failed]
                                      show the last 10 requests, or one of them with its bodies
  walhook webhooks resend ID EVENT… | resend ID --failed --from 24h [--to TIME]
                                      send events again, or all failed ones of a time range
  walhook webhooks replay ID --from 2h [--to TIME] [--trigger user.new] | --event EVENT [--event …]
                                      send events again, delivered ones too; resend and replay take --beyond-triggers
  walhook webhooks types [TRIGGER]    list every trigger with its fields, or the fields of one trigger with their types
  walhook webhooks schema ID | TRIGGER
                                      print the JSON Schema of a webhook's requests, or of a trigger's
  walhook webhooks missed ID [--send]
                                      count the events it missed while it was last inactive; --send starts sending them
  walhook webhooks replays ID [--stop REPLAY]
                                      list the latest replays that run in the background, with their progress`,
  ...ofSubcommands('webhooks', subcommands),
}
