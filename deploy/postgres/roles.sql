-- The roles and the database, on a server that has nothing of Centwise yet. As a superuser, with psql 15 or later:
--   DB_PASSWORD=… CHECK_PASSWORD=… psql --set=ON_ERROR_STOP=1 --dbname=postgres --file=roles.sql
\getenv db_password DB_PASSWORD
\getenv check_password CHECK_PASSWORD

-- serve, verify, health-check, backup, retention, resume, admin-key: it owns its database, and nothing else.
create role centwise login password :'db_password';
-- restore --check alone: makes a database, restores into it, drops it. It never sees the one that is served.
create role centwise_check login createdb password :'check_password';
-- The second wall: what is read for one reseller is read as this role.
create role centwise_reader nologin;
grant centwise_reader to centwise, centwise_check;

create database centwise owner centwise encoding 'UTF8' template template0;
revoke connect, temporary on database centwise from public;
