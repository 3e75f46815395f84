#!/bin/sh
# Makes PostgreSQL's folder at its first start, with the role and the database `eyrie`, then becomes PostgreSQL. The superuser comes in by the
# socket in the container alone; `eyrie` is none, owns its database, and comes from the same network with its password.
set -eu
umask 077
PATH=/opt/postgresql:$PATH
data=/var/lib/postgresql/18

if [ ! -e "$data/PG_VERSION" ]; then
    password=$(cat /run/secrets/postgres_password)
    case $password in "" | *[!A-Za-z0-9_-]*) echo "postgres_password must be letters, digits, - and _" >&2; exit 1 ;; esac
    rm -rf "$data.new"
    initdb --pgdata "$data.new" --username postgres --auth peer --data-checksums --encoding UTF8 --no-locale
    printf 'local all postgres peer\nhost eyrie eyrie samenet scram-sha-256\n' >"$data.new/pg_hba.conf"
    # Standard input, and printf of the shell: a password in an argument could be read by every process.
    printf "CREATE ROLE eyrie LOGIN PASSWORD '%s'\nCREATE DATABASE eyrie OWNER eyrie\n" "$password" |
        postgres --single -D "$data.new" -c exit_on_error=on -c log_statement=none postgres >/dev/null
    mv "$data.new" "$data"
fi
# The ack means durable: fsync and synchronous_commit stay on.
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql -c max_connections=500 -c fsync=on \
    -c synchronous_commit=on -c full_page_writes=on -c wal_compression=on -c max_wal_size=1GB -c timezone=UTC -c log_timezone=UTC
