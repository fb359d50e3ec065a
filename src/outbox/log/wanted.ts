/**
 * Which events a webhook wants, and as what it is told them, in SQL; `toldAs` in `domain/event/wanted.ts` is the same rule for what is in
 * memory. Used as
 *
 *     from walhook.events e left join lateral (${stateAt('$1', 'e.webhooks_version')}) s on true where ${wants('e', 's')}
 *
 * where `e` has all of `wantedColumns`.
 */

/** The columns of an event that are asked for. */
export const wantedColumns =
  'id, share, entity_type, entity_id, action_type, body, previous, changed, omitted, only_webhook_id, webhooks_version, tenant, tenant_before'

/** The state of a webhook at a version: no row where the webhook was made later. `webhookId` and `version` are expressions. */
export const stateAt = (webhookId: string, version: string) => `
select * from walhook.webhook_states where webhook_id = ${webhookId} and version <= ${version} order by version desc limit 1`

/** Whether the webhook of a state `s` wants an event `e`; false where there is no state. Never null. */
export const wants = (e: string, s: string) => `case
  when not coalesce(${s}.is_active and ${s}.disabled_reason is null, false) then false
  when ${e}.only_webhook_id is not null and ${e}.only_webhook_id <> ${s}.webhook_id then false
  when not ${isOfTenant(e, s)} then false
  when ${s}.filter is null
    then ${e}.entity_type || '.' || ${actionFor(e, s)} = any (${s}.triggers) and ${wantsFields(e, s)}
  else coalesce(${e}.entity_type || '.' || ${told(e, s)} = any (${s}.triggers), false)
end`

/** As what the webhook of a state, or a webhook, `s` is told an event `e`: as it is, where its filter does not want it. */
export const toldAs = (e: string, s: string) => `case
  when ${s}.filter is null then ${actionFor(e, s)} else coalesce(${told(e, s)}, ${actionFor(e, s)}) end`

/** Whether the webhook of `s` may know of an event `e` at all. Never null. */
export const isOfTenant = (e: string, s: string) =>
  `(${s}.tenant is null or coalesce(${e}.tenant = ${s}.tenant, false) or coalesce(${e}.tenant_before = ${s}.tenant, false))`

/** What an event is to the tenant of `s`, which may know of it; as in `domain/event/tenant.ts`. */
const actionFor = (e: string, s: string) => `case
  when ${s}.tenant is null or ${e}.tenant_before is null then ${e}.action_type
  when ${e}.tenant_before = ${s}.tenant then 'delete'
  else 'new' end`

/** The columns as_new and as_delete of a delivery of `e`. */
export const formOf = (e: string, s: string) => {
  const isToldAs = (action: string) => `${e}.action_type = 'update' and ${toldAs(e, s)} = '${action}'`
  return `${isToldAs('new')} as as_new, ${isToldAs('delete')} as as_delete`
}

/** Whether the webhook `w`, as it is now, wants events like `e`, by tenant, trigger and filter; whichever field an update changed. */
export const isMeantFor = (e: string, w: string) => `(
  case when not ${isOfTenant(e, w)} then false
       when ${w}.filter is null then ${e}.entity_type || '.' || ${actionFor(e, w)} = any (${w}.triggers)
       else coalesce(${e}.entity_type || '.' || ${told(e, w, 'true')} = any (${w}.triggers), false) end)`

/** Whether the filter of `s` says anything about entities of the type of `e`; false where there is none. */
export const concernsFilter = (e: string, s: string) =>
  `exists (select 1 from jsonb_object_keys(${s}.filter) key where split_part(key, '.', 1) = ${e}.entity_type)`

/** Null where it is not wanted, whatever the triggers are. */
const told = (e: string, s: string, hasWantedField = wantsFields(e, s)) => `case
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
