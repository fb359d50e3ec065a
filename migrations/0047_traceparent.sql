-- Whether requests to a webhook say where in a trace they are: decision 0082.
alter table walhook.webhooks add column traceparent boolean not null default false;

create trigger note_changed_traceparent before update on walhook.webhooks
  for each row when (old.traceparent is distinct from new.traceparent)
  execute function walhook.note_change_of_webhook();
