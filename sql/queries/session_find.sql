-- $1 the token as it is stored
select s.user_id || E'\t' || u.role || E'\t'
    || floor(extract(epoch from s.expires) * 1000)::bigint as body,
  array['user:' || s.user_id, 'session:' || s.id] as tags
from sessions s join "User" u on u.id = s.user_id
where s.session_token = $1 and s.expires > now() at time zone 'UTC'
