#!/bin/sh
# Runs a server or a Sentinel of compose.yaml: redis.sh server | sentinel.
#
# Both rewrite their configuration when another server becomes the master. So
# each has a copy in its own volume, made at the first start; passwords are put
# in then. The users are written anew at every start.
set -eu
umask 077
: "${CONF:=/etc/redis}" "${SECRETS:=/run/secrets}" "${DATA:=/data}" "${SERVER:=redis-server}"
: "${MASTER:=redis-1}" "${MASTER_PORT:=6379}" "${NAME:=$(hostname)}" "${PORT:=}"

secret() { cat "$SECRETS/$1"; }
hashed() { printf %s "$(secret "$1")" | sha256sum | cut -d ' ' -f 1; }

# copy FILE: the lines after the file's own come from standard input.
copy() {
  [ -e "$DATA/$1" ] && return
  { cat "$CONF/$1" -; [ -z "$PORT" ] || echo "port $PORT"; echo "dir $DATA"; } > "$DATA/$1.new"
  mv "$DATA/$1.new" "$DATA/$1"
}

cd "$DATA"
case $1 in
  server)
    sed -e "s/@redis_password@/$(hashed redis_password)/" -e "s/@replica_password@/$(hashed replica_password)/" \
      -e "s/@sentinel_password@/$(hashed sentinel_password)/" -e "s/@operator_password@/$(hashed operator_password)/" \
      "$CONF/users.acl" > users.acl
    following="replicaof $MASTER $MASTER_PORT"
    [ "$NAME" != "$MASTER" ] || following=
    copy redis.conf << END
aclfile $DATA/users.acl
masterauth $(secret replica_password)
replica-announce-ip $NAME
$following
END
    exec $SERVER "$DATA/redis.conf"
    ;;
  sentinel)
    copy sentinel.conf << END
requirepass $(secret sentinel_password)
sentinel monitor drawbridge $MASTER $MASTER_PORT 2
sentinel auth-user drawbridge sentinel
sentinel auth-pass drawbridge $(secret sentinel_password)
sentinel down-after-milliseconds drawbridge 5000
sentinel failover-timeout drawbridge 30000
END
    exec $SERVER "$DATA/sentinel.conf" --sentinel
    ;;
esac
