#!/bin/sh
# As the public image does: at the first start, make a cluster with a user and a database of its name.
set -e
data=/var/lib/postgresql/data
if [ ! -s $data/PG_VERSION ]; then
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    initdb -D $data -E UTF8 -U "$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256
    echo "host all all all scram-sha-256" >> $data/pg_hba.conf
    pg_ctl -D $data -w start -o "-c listen_addresses="
    createdb -U "$POSTGRES_USER" "$POSTGRES_USER"
    pg_ctl -D $data -w stop
fi
exec postgres -D $data -c "listen_addresses=*"
