-- Who looks for a lane by its entity is to use the primary key. While the table was small or empty, the planner took either
-- index for equally good, and a plan that reads all lanes of a webhook by this one was kept while the queue grew. Being
-- partial, it can be used only by a statement that says the same of due_at, which is true of every lane.
drop index walhook.lanes_by_due;
create index lanes_by_due on walhook.lanes (webhook_id, due_at) where due_at > '-infinity';
