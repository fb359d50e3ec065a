-- Which bodies the log keeps of a webhook's requests and answers.
alter table walhook.webhooks
  add column log_bodies text not null default 'all' check (log_bodies in ('all', 'failed', 'none'));

-- Whether the log keeps what was sent and answered. The event keeps its body for those who are still to get it.
alter table walhook.attempts add column has_bodies boolean not null default true;
alter table walhook.kept_attempts add column has_bodies boolean not null default true;

-- What outlives the log's days says how it went, and not what was sent.
update walhook.kept_attempts
set request_body = case when trigger = 'test' then '' end, response_headers = null, response_body = null, has_bodies = false;

-- Entities and events that were forgotten while requests about them may have been under way: what these bring is not kept. As
-- `n:` with the MD5 of an entity's type and id, and `e:` with an event's id.
create table walhook.forgotten (
  what text collate "C" primary key,
  at timestamptz not null default now()
);

create index audit_by_time on walhook.audit (at);
