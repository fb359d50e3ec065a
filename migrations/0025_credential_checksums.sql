-- Tokens and sessions end with a checksum, so that one that somebody has made up is told from ours without a look at
-- a table. Its key is no secret from whoever reads these tables; whoever does not can't make one up that passes.

create table walhook.checksum_key (
  is_only boolean primary key default true check (is_only),
  key bytea not null check (octet_length(key) = 32)
);

-- Two UUIDs of version 4: 244 bits that nobody can guess.
insert into walhook.checksum_key (key)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- Those that are there have none. They go on working, and are looked up among their kind.
alter table walhook.tokens add column has_checksum boolean not null default false;
alter table walhook.sessions add column has_checksum boolean not null default false;
