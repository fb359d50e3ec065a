/** `n:` and `e:` in `walhook.forgotten`, for an attempt or entity with these columns. */
export const entityMark = (type: string, id: string) => `'n:' || md5(${type} || chr(10) || ${id})`

/** Whether an attempt `a` is about an entity that was erased since it began. An empty table costs almost nothing. */
export const isForgotten = `
(case when exists (select 1 from walhook.forgotten) then exists (
  select 1 from walhook.forgotten f
  where a.started_at < f.at + interval '10 s'
    and (f.what = ${entityMark('a.entity_type', 'a.entity_id')}
      or f.what = any (select 'e:' || unnest(a.event_ids::bigint[])))
) else false end)`
