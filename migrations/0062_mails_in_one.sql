-- Mails to one address about webhooks of one tenant are sent together, and no more often than decision 0097 says.
alter table walhook.alert_mails add column tenant text collate "C";
-- When it was last taken to be sent: what was taken at one time to one address is one mail.
alter table walhook.alert_mails add column taken_at timestamptz;
create index alert_mails_taken on walhook.alert_mails (recipient, taken_at) where taken_at is not null;
