-- On a node that was added to a server, a sequence begins in a range of its own, far above its bounds: an id takes the counter's
-- twenty bits and no more, or its time would be days ahead.
create or replace function walhook.new_time_id() returns bigint language sql volatile
begin atomic
  select (floor(extract(epoch from clock_timestamp()) * 1000)::bigint << 20)
    | (nextval('walhook.time_id_counter') & 1048575);
end;
