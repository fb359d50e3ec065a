-- The timeline of the server where a holder joined. On another one, commits may be lost that its memory relies on.
alter table walhook.holders add column timeline text;
