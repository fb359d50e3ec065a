-- A process that stops: others count it for no share, while it ends what it has under way.
alter table walhook.holders add column is_leaving boolean not null default false;
