-- $1 email; as it is stored, or in lower case
select id as body from "User" where email in ($1, lower($1)) order by email = $1 desc limit 1
