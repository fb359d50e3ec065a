-- What an admin asks for by hand, and what the log is asked.

alter table walhook.deliveries
  -- Asked for by hand (resend, replay): its attempts are logged as manual.
  add column is_manual boolean not null default false,
  -- The lease that its lane was under when it was asked for by hand. What that lease sends was chosen before, and is
  -- not this one, even where this one is older.
  add column asked_during uuid;

-- What of a webhook decides whether an event becomes a delivery, and since when: so that it can be told later why an
-- event was not sent. Times are those of ids: this row speaks of the events that came after `since`.
create table walhook.webhook_states (
  webhook_id       integer      not null references walhook.webhooks on delete cascade,
  since            timestamptz  not null default clock_timestamp(),
  is_active        boolean      not null,
  disabled_reason  text,
  triggers         text[]       not null,
  update_fields    text[],
  primary key (webhook_id, since)
);

-- By a trigger on our own table, since what changes a webhook is in several places: admins, 410, auto-disable.
create function walhook.note_webhook_state() returns trigger language plpgsql as $$
begin
  insert into walhook.webhook_states (webhook_id, is_active, disabled_reason, triggers, update_fields)
  values (new.id, new.is_active, new.disabled_reason, new.triggers, new.update_fields)
  on conflict (webhook_id, since) do update
    set is_active = excluded.is_active, disabled_reason = excluded.disabled_reason, triggers = excluded.triggers,
        update_fields = excluded.update_fields;
  return null;
end $$;

create trigger note_new_state after insert on walhook.webhooks
  for each row execute function walhook.note_webhook_state();

create trigger note_changed_state after update on walhook.webhooks
  for each row when (
    (old.is_active, old.disabled_reason, old.triggers, old.update_fields)
    is distinct from (new.is_active, new.disabled_reason, new.triggers, new.update_fields))
  execute function walhook.note_webhook_state();

-- Of the webhooks that are there already, what they are is known since their last change.
insert into walhook.webhook_states (webhook_id, since, is_active, disabled_reason, triggers, update_fields)
select id, updated_at, is_active, disabled_reason, triggers, update_fields from walhook.webhooks;

-- An entity's events, newest first.
create index events_by_entity on walhook.events (entity_id, id);

-- What became of an event. Events come in the order of their ids, so that the index grows at its right edge.
create index attempts_by_event on walhook.attempts (event_id, webhook_id);

-- The few among the many: what failed, and what was not the queue's own.
create index attempts_not_delivered on walhook.attempts (webhook_id, id) where outcome <> 'delivered';
create index attempts_by_hand on walhook.attempts (webhook_id, id) where trigger <> 'schedule';

-- The last attempts of a webhook that are too old for the log's partitions, with the bodies of their events. The
-- same columns as the log: what is added there is added here.
create table walhook.kept_attempts (like walhook.attempts, primary key (webhook_id, id));
