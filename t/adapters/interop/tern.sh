#!/bin/bash
# tern for the runners of the interop kit (its sut/CONTRACT.md): a private instance below DIR, installed in $TERN_PREFIX.
#   ADAPTERS=.../t/adapters/interop SUT=tern TERN_PREFIX=... bash clients/cli-read.sh
set -u
: "${TERN_PREFIX:?where tern is installed}"
verb=${1:?start|reload|stop}; DIR=${2:?directory}; shift 2
B=${PORT_BASE:-27000}
HOST=${SUT_HOST:-127.0.0.1}; DOMAIN=${DOMAIN:-kit.test}; MYHOSTNAME=${MYHOSTNAME:-mx.$DOMAIN}
T=$DIR/tern E=$DIR/tern/etc S=$TERN_PREFIX/sbin

settings() { for word in "$@"; do echo "${word%%=*} = ${word#*=}"; done >> "$E/main.cf"; }

# A private authority and a certificate, unless the runner has made them; tern takes it with its key in one file.
certificate() {
  mkdir -p "$DIR/tls" && cd "$DIR/tls" || return 1
  if [ -f cert.pem ]; then (umask 077; cat key.pem cert.pem > "$E/tls/chain.pem"); cd - >/dev/null; return; fi
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj "/CN=kit test CA" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout key.pem -out c.csr -subj "/CN=$MYHOSTNAME" 2>/dev/null
  openssl x509 -req -in c.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -out c.pem \
    -extfile <(printf 'subjectAltName=DNS:%s,DNS:localhost,DNS:mta-sts.%s,IP:127.0.0.1' "$MYHOSTNAME" "$DOMAIN") 2>/dev/null
  (umask 077; cat key.pem c.pem ca.pem > "$E/tls/chain.pem")
  cd - >/dev/null || return 1
}

# The store of accounts that a runner has filled (AUTH_KIND), in place of the instance's own.
accounts() {
  local source
  case ${AUTH_KIND:-} in
  "") return;;
  pam) source="pam:$AUTH_ARGS";;
  ldap) source="ldap:$E/accounts.cf"
    printf '%s\n' "server_host = $AUTH_ARGS" "search_base = dc=kit,dc=test" "bind = no" "query_filter = (mail=%u)" "result_attribute = mail=login";;
  pgsql) source="pgsql:$E/accounts.cf"
    for word in $AUTH_ARGS; do case $word in user=*|dbname=*) echo "${word%%=*} = ${word#*=}";; host=*) echo "hosts = ${word#*=}";; esac; done
    echo "query = SELECT u AS login, p AS password FROM users WHERE u = %u";;
  sqlite) source="sqlite:$E/accounts.cf"
    printf '%s\n' "dbpath = $AUTH_ARGS" "query = SELECT u AS login, p AS password FROM users WHERE u = %u";;
  *) echo "tern has no account source $AUTH_KIND" >&2; return 1;;
  esac > "$E/accounts.cf"
  chmod 644 "$E/accounts.cf"
  settings "auth_sources=$source"
}

start() {
  mkdir -p "$DIR"; chmod 755 "$DIR"
  if [ ! -d "$E" ]; then
    "$S/tern" init "$T" --domain "$DOMAIN" --port-base "$B" --tls > "$DIR/init.log" 2>&1 || { cat "$DIR/init.log"; return 1; }
    settings "myhostname=$MYHOSTNAME" auth_failure_delay=0 \
      auth_mechanisms=scram-sha-256-plus,scram-sha-256,scram-sha-1-plus,scram-sha-1,plain,login,cram-md5 auth_ban_exceptions=127.0.0.0/8 minimal_backoff_time=5s maximal_backoff_time=20s \
      queue_run_delay=5s smtpd_client_connection_rate_limit=0 mail_max_userip_connections=200
    for i in 1 2 3 4 5 6 7 8 9; do echo "secret$i" | "$S/tern" -c "$E" user add "user$i@$DOMAIN" >/dev/null || return 1; done
    # In clear, so that SCRAM and CRAM-MD5 can work for all.
    for i in 1 2 3 4 5 6 7 8 9; do echo "user$i@$DOMAIN:{PLAIN}secret$i"; done > "$E/users.passwd"
    certificate || return 1
    # As the reference system of the kit: some names that are aliases, and the address that the runner's world knows.
    printf 'postmaster@%s user1@%s\nabuse@%s user1@%s\nlist@%s user1@%s, user2@%s, user3@%s\n' \
      "$DOMAIN" "$DOMAIN" "$DOMAIN" "$DOMAIN" "$DOMAIN" "$DOMAIN" "$DOMAIN" "$DOMAIN" > "$E/valias"
    settings "virtual_alias_maps=texthash:$E/valias" "smtp_tls_CAfile=$DIR/tls/ca.pem" "mynetworks=127.0.0.0/8 ${SUT_MYNETWORKS:-}"
    [ "$HOST" = 127.0.0.1 ] || settings "inet_interfaces=$HOST" inet_protocols=ipv4
    accounts || return 1
  fi
  settings "$@"
  "$S/tern" -c "$E" start > "$DIR/start.log" 2>&1 || { cat "$DIR/start.log"; return 1; }
  cat > "$DIR/env" <<C
HOST=$HOST
DOMAIN=$DOMAIN
MYHOSTNAME=$MYHOSTNAME
SMTP_PORT=$((B+25))
SUBMISSION_PORT=$((B+587))
SMTPS_PORT=$((B+465))
IMAP_PORT=$((B+143))
IMAPS_PORT=$((B+993))
POP3_PORT=$((B+110))
POP3S_PORT=$((B+995))
LMTP_PORT=$((B+24))
SIEVE_PORT=$((B+190))
CAFILE=$DIR/tls/ca.pem
MAILLOG=$T/log/tern.log
IMAPLOG=$T/log/tern.log
SENDMAIL_CMD="$S/sendmail -C $E"
MAILQ_CMD="$S/ternqueue -c $E -p"
MAILQ_JSON_CMD="$S/ternqueue -c $E -j"
FLUSH_CMD="$S/ternqueue -c $E -f"
SUPER_CMD="$S/ternsuper -c $E"
QUEUE_DIR=$T/spool
MAIL_ROOT=$T/mail/$DOMAIN
MAIL_USER=user1@$DOMAIN
MAIL_PASS=secret1
MAIL_USER2=user2@$DOMAIN
MAIL_PASS2=secret2
MAIL_USER3=user3@$DOMAIN
MAIL_PASS3=secret3
C
  for p in 25 587 465 143 993 24; do
    n=0; until (exec 3<>"/dev/tcp/$HOST/$((B+p))") 2>/dev/null; do n=$((n+1)); [ $n -gt 100 ] && { echo "port $((B+p)) never opened"; return 1; }; sleep 0.1; done
  done
}

case $verb in
stop) [ -d "$E" ] && "$S/tern" -c "$E" stop >/dev/null 2>&1; exit 0;;
reload) settings "$@"; "$S/tern" -c "$E" reload >/dev/null 2>&1;;
start) start "$@";;
*) exit 64;;
esac
