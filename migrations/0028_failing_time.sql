-- How long a webhook has failed while walhook tried. Time in which walhook was stopped, had no database, or had nothing to send, says
-- nothing of a receiver. `next_try_at` is the earliest try that was planned when the failure at `failed_at` was noted: the time
-- until the next failure counts where that comes about then. All three are null of a webhook that does not fail.
alter table walhook.webhooks add column failed_for_ms bigint;
alter table walhook.webhooks add column failed_at timestamptz;
alter table walhook.webhooks add column next_try_at timestamptz;
alter table walhook.webhooks add check ((failed_for_ms is null) = (failed_at is null));
alter table walhook.webhooks add check (failed_for_ms >= 0);

-- Since when what receivers answer says something of the webhook as it is: it was made, activated anew, or got another URL.
alter table walhook.webhooks add column activated_at timestamptz not null default now();
