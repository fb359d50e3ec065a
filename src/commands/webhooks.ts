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
                                      list the webhooks of the walhook that runs at WALHOOK_URL, with the token
                                      WALHOOK_TOKEN: as a table on a terminal, elsewhere or with --json as JSON
  walhook webhooks show ID            show one
  walhook webhooks create --name NAME --url URL --trigger user.new [--trigger …] [--header 'Name: value']
                          [--update-field user.email] [--mode latest] [--alert-to ops@example.com]
                          [--tenant TENANT] [--with-traceparent] [--inactive] [--file FILE]
                                      create one, and print its secret; --file takes the JSON of the API, - reads it
                                      from standard input
  walhook webhooks test ID [--user ID]
                                      send a test now; exit status 1 where the receiver does not accept it
  walhook webhooks log ID [REQUEST] [--limit N] [--failed]
                                      the last 10 requests, or one of them with its bodies
  walhook webhooks resend ID EVENT… | resend ID --failed --from 24h [--to TIME]
                                      send events again, or all failed ones of a range of time
  walhook webhooks replay ID --from 2h [--to TIME] [--trigger user.new] | --event EVENT [--event …]
                                      send events again that may have been delivered; both take --beyond-triggers
  walhook webhooks types [TRIGGER]    every trigger with the fields of its events, or the types of one trigger's fields
  walhook webhooks schema ID | TRIGGER
                                      the JSON Schema of all requests of a webhook, or of a trigger's
  walhook webhooks missed ID [--send]
                                      how many events it missed while it was off last; --send begins to send them
  walhook webhooks replays ID [--stop REPLAY]
                                      the last replays that walhook carries out by itself, and how far they are`,
  ...ofSubcommands('webhooks', subcommands),
}
