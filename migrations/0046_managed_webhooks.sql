-- Webhooks as code: decision 0080. The file that a webhook is written in; null: it is changed by hand.
alter table walhook.webhooks add column managed_by text check (length(managed_by) between 1 and 500);
