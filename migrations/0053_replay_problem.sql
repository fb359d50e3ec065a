-- Why a replay does not go on at the moment, as the database said it; null: it goes on. Processes of the version before leave it as it is.
alter table walhook.replays add column problem text;
