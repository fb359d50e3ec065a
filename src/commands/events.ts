import { listEvents, showEvent } from './client/events.ts'
import { ofSubcommands, type Subcommands } from './client/subcommands.ts'
import type { Command } from './kit/command.ts'

const subcommands: Subcommands = { list: listEvents, show: showEvent }

/** What an admin looks for among the events, through the API of a running walhook. */
export const events: Command = {
  usage: `  walhook events list [--entity user] [--id ID] [--action update] [--state dead] [--from 2h] [--to TIME]
                      [--tenant TENANT] [--limit N]
                                      list the newest 20 events that match, with the number of webhooks by state
  walhook events show EVENT           show one event with its body and its delivery to each webhook`,
  ...ofSubcommands('events', subcommands),
}
