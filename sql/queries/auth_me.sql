-- $1 userId
select '{"user":' || (select row_to_json(item)::text from (
    select u.id, u.name, u.email, u.image, u.role) item) || '}' as body,
  array['user:' || u.id] as tags
from "User" u
where u.id = $1
