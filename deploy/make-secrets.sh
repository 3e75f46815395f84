#!/bin/sh
# Makes the secrets of the compose file: below deploy/secrets (or $1) a folder for each service, with the files that it needs and no others,
# each readable by the user of that service alone. What is there already is kept.
#
# Needs root, since it gives files away. $2 is the file of public keys (JWKS) of who issues tokens; `eyrie keys make --folder DIR` makes a pair.
set -eu
umask 077
folder=${1:-$(dirname "$0")/secrets}
jwks=${2:-}

random() { od -A n -t x1 -N 32 /dev/urandom | tr -d ' \n'; }

mkdir -p "$folder/common"
for name in postgres_password redis_password policy_key ray_token; do
    [ -s "$folder/common/$name" ] || random >"$folder/common/$name"
done
[ -z "$jwks" ] || cp "$jwks" "$folder/common/jwks"
[ -s "$folder/common/jwks" ] || { echo "name the file of public keys: $0 $folder JWKS" >&2; exit 1; }

# The server gets the hash alone; whoever asks for its health may ask for nothing else.
hash=$(printf '%s' "$(cat "$folder/common/redis_password")" | sha256sum | cut -d ' ' -f 1)
printf 'user default on #%s ~* &* +@all\nuser health on nopass resetkeys resetchannels -@all +ping\n' "$hash" >"$folder/common/redis_acl"

give() { # service, number of its user, names of its files
    service=$1 user=$2
    shift 2
    mkdir -p "$folder/$service"
    for name in "$@"; do install --mode 0400 --owner "$user" --group "$user" "$folder/common/$name" "$folder/$service/$name"; done
}
give postgres 10010 postgres_password
give redis 10011 redis_acl
for service in head:10001 node-1:10002 node-2:10003; do
    give "${service%:*}" "${service#*:}" postgres_password redis_password jwks policy_key ray_token
done
