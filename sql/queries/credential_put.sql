-- $1 userId, $2 hash
insert into pupitre.credential (user_id, hash) values ($1, $2)
on conflict (user_id) do update set hash = excluded.hash, updated_at = now()
returning 'ok' as outcome, null as body
