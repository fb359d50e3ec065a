/**
 * Which events a webhook wants, in SQL; `wants` in `domain/event/wanted.ts` is the same rule for what is in memory. Used as
 *
 *     from walhook.events e left join lateral (${stateAt('$1', 'e.webhooks_version')}) s on true where ${wants('e', 's')}
 */

/** The state of a webhook at a version: no row where the webhook was made later. `webhookId` and `version` are expressions. */
export const stateAt = (webhookId: string, version: string) => `
select * from walhook.webhook_states where webhook_id = ${webhookId} and version <= ${version} order by version desc limit 1`

/** Whether the webhook of a state `s` wants an event `e`; false where there is no state. Never null. */
export const wants = (e: string, s: string) => `(
  coalesce(${s}.is_active and ${s}.disabled_reason is null, false)
  and ${e}.entity_type || '.' || ${e}.action_type = any (${s}.triggers)
  and (${e}.only_webhook_id is null or ${e}.only_webhook_id = ${s}.webhook_id)
  and ${wantsFields(e, s)}
)`

const wantsFields = (e: string, s: string) => `(
  ${s}.update_fields is null
  or ${e}.changed is null
  or not exists (select from unnest(${s}.update_fields) field where split_part(field, '.', 1) = ${e}.entity_type)
  or ${s}.update_fields && array(select ${e}.entity_type || '.' || field from unnest(${e}.changed) field)
)`
