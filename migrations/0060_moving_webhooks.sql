-- The cell to which a webhook is being moved: nothing is sent to it meanwhile (decision 0092).
alter table walhook.webhooks add column moving_to text collate "C";
create trigger note_moving_webhook before update on walhook.webhooks
  for each row when (old.moving_to is distinct from new.moving_to)
  execute function walhook.note_change_of_webhook();
