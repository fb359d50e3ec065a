/**
 * Which events a webhook wants, and in which form, in SQL; `sentAction` in `domain/event/wanted.ts` is the same rule in memory.
 * Usage:
 *
 *     from walhook.events e left join lateral (${stateAt('$1', 'e.webhooks_version')}) s on true where ${wants('e', 's')}
 *
 * `e` needs all `wantedColumns`.
 */

/** The needed columns of an event. */
export const wantedColumns =
  'id, share, entity_type, entity_id, action_type, body, previous, changed, omitted, only_webhook_id, webhooks_version, tenant, tenant_before'

/** A webhook's state at a version: no row if it was created later. Both arguments are expressions. */
export const stateAt = (webhookId: string, version: string) => `
select * from walhook.webhook_states where webhook_id = ${webhookId} and version <= ${version} order by version desc limit 1`

/** Whether a webhook's state `s` wants event `e`; false without a state. Never null. */
export const wants = (e: string, s: string) => `case
  when not coalesce(${s}.is_active and ${s}.disabled_reason is null, false) then false
  when ${e}.only_webhook_id is not null and ${e}.only_webhook_id <> ${s}.webhook_id then false
  when not ${isOfTenant(e, s)} then false
  when ${s}.filter is null
    then ${e}.entity_type || '.' || ${actionFor(e, s)} = any (${s}.triggers) and ${wantsFields(e, s)}
  else coalesce(${e}.entity_type || '.' || ${filteredAction(e, s)} = any (${s}.triggers), false)
end`

/** The action of event `e` for a state or webhook `s`; its own if the filter excludes it. */
export const sentAction = (e: string, s: string) => `case
  when ${s}.filter is null then ${actionFor(e, s)} else coalesce(${filteredAction(e, s)}, ${actionFor(e, s)}) end`

/** Whether the webhook of `s` may see event `e` at all. Never null. */
export const isOfTenant = (e: string, s: string) =>
  `(${s}.tenant is null or coalesce(${e}.tenant = ${s}.tenant, false) or coalesce(${e}.tenant_before = ${s}.tenant, false))`

/** The action of an event for the tenant of `s`; as in `domain/event/tenant.ts`. */
const actionFor = (e: string, s: string) => `case
  when ${s}.tenant is null or ${e}.tenant_before is null then ${e}.action_type
  when ${e}.tenant_before = ${s}.tenant then 'delete'
  else 'new' end`

/** The columns as_new and as_delete of a delivery of `e`. */
export const formOf = (e: string, s: string) => {
  const isSentAs = (action: string) => `${e}.action_type = 'update' and ${sentAction(e, s)} = '${action}'`
  return `${isSentAs('new')} as as_new, ${isSentAs('delete')} as as_delete`
}

/** Whether webhook `w` wants events like `e` now, by tenant, trigger and filter, whatever fields changed. */
export const isMeantFor = (e: string, w: string) => `(
  case when not ${isOfTenant(e, w)} then false
       when ${w}.filter is null then ${e}.entity_type || '.' || ${actionFor(e, w)} = any (${w}.triggers)
       else coalesce(${e}.entity_type || '.' || ${filteredAction(e, w, 'true')} = any (${w}.triggers), false) end)`

/** Whether the filter of `s` has fields of the entity type of `e`; false without a filter. */
export const concernsFilter = (e: string, s: string) =>
  `exists (select 1 from jsonb_object_keys(${s}.filter) key where split_part(key, '.', 1) = ${e}.entity_type)`

/** Null: unwanted, whatever the triggers. */
const filteredAction = (e: string, s: string, hasWantedField = wantsFields(e, s)) => `case
  when ${concernsFilter(e, s)} then walhook.through_filter(${s}.filter, ${s}.filter_entering, ${s}.filter_leaving, ${hasWantedField},
      ${e}.entity_type, ${actionFor(e, s)}, ${e}.body, ${e}.previous, ${e}.changed, ${e}.omitted)
  when ${hasWantedField} then ${actionFor(e, s)}
end`

const wantsFields = (e: string, s: string) => `(
  ${s}.update_fields is null
  or ${e}.changed is null
  or (${s}.tenant is not null and ${e}.tenant_before is not null)
  or not exists (select 1 from unnest(${s}.update_fields) field where split_part(field, '.', 1) = ${e}.entity_type)
  or ${s}.update_fields && array(select ${e}.entity_type || '.' || field from unnest(${e}.changed) field)
)`
