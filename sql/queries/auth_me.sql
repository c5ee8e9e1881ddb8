-- $1 userId
select json_build_object('user', (select row_to_json(item) from (
    select u.id, u.name, u.email, u.image, u.role) item))::text as body,
  array['user:' || u.id] as tags
from "User" u
where u.id = $1
