-- Alerts: walhook's own events, decision 0079.

-- What happened to a webhook or to capture. At most one of a kind is open for a subject, whoever finds it, and however often.
create table walhook.incidents (
  id         integer     generated always as identity primary key,
  kind       text        not null collate "C" check (kind in ('webhook.failing', 'webhook.disabled', 'delivery.dead',
                                                  'capture.lost', 'capture.blocked', 'capture.lagging')),
  -- The id of a webhook, or the name of a slot.
  subject    text        not null collate "C",
  webhook_id integer     references walhook.webhooks on delete cascade,
  opened_at  timestamptz not null default now(),
  last_at    timestamptz not null default now(),
  count      bigint      not null default 1 check (count > 0),
  facts      jsonb       not null default '{}' check (jsonb_typeof(facts) = 'object'),
  ended_at   timestamptz,
  -- Whether its end is an alert too.
  tells_end  boolean     not null default false check (ended_at is not null or not tells_end),
  told_at    timestamptz,
  end_told_at timestamptz check (end_told_at is null or told_at is not null)
);
create unique index incidents_open on walhook.incidents (kind, subject) where ended_at is null;
create index incidents_by_subject on walhook.incidents (subject, kind, ended_at);
create index incidents_by_webhook on walhook.incidents (webhook_id) where webhook_id is not null;
create index incidents_untold on walhook.incidents (id) where told_at is null or (tells_end and end_told_at is null);

-- One mail to one address about one alert.
create table walhook.alert_mails (
  id          integer     generated always as identity primary key,
  incident_id integer     not null references walhook.incidents on delete cascade,
  alert       text        not null collate "C",
  recipient   text        not null collate "C",
  attempts    integer     not null default 0 check (attempts >= 0),
  due_at      timestamptz default now(),
  sent_at     timestamptz,
  error       text,
  check (sent_at is null or due_at is null),
  unique (incident_id, alert, recipient)
);
create index alert_mails_by_due on walhook.alert_mails (due_at) where due_at is not null;
create index alert_mails_unsent on walhook.alert_mails (id) where sent_at is null;

alter table walhook.webhooks
  add column alert_to text[] not null default '{}' check (array_position(alert_to, null) is null and cardinality(alert_to) <= 20);

-- An alert is an event with an entity type that no mapping can have (walhook:webhook). Whatever is stored satisfies the narrower
-- check of before, so that no row is looked at.
alter table walhook.events drop constraint events_action_type_check;
alter table walhook.events add constraint events_action_type_check
  check (action_type in ('new', 'update', 'delete', 'failing', 'recovered', 'disabled', 'dead', 'lost', 'blocked', 'lagging')) not valid;
alter table walhook.attempts drop constraint attempts_action_type_check;
alter table walhook.attempts add constraint attempts_action_type_check
  check (action_type in ('new', 'update', 'delete', 'test', 'failing', 'recovered', 'disabled', 'dead', 'lost', 'blocked', 'lagging'))
  not valid;
