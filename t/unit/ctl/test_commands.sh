#!/bin/sh
# The queue commands on a queue made by hand, with no mail system running. Run in the build directory.
set -u
base=$(mktemp -d) || exit 99
queue=$(t/unit/ctl/make_queue) || exit 99
trap 'rm -rf "$base" "$queue"' EXIT
failed=0
mkdir -p "$base/etc" "$base/spool/public" "$base/spool/pid" "$base/log"
mv "$queue" "$base/spool/queue"
: >"$base/log/mail.log"
cat >"$base/etc/main.cf" <<END
queue_directory = $base/spool
maillog_file = $base/log/mail.log
maillog_file_prefixes = $base
END
TZ=UTC MAIL_CONFIG=$base/etc
export TZ MAIL_CONFIG

# check NAME STATUS PATTERN COMMAND...: exit status and a pattern in the output (both streams)
check() {
    name=$1 status=$2 pattern=$3
    shift 3
    output=$("$@" 2>&1 </dev/null)
    got=$?
    if [ $got -ne "$status" ] || ! printf '%s\n' "$output" | grep -q -e "$pattern"; then
        printf 'FAILED %s: status %s (wanted %s), wanted "%s" in:\n%s\n' "$name" $got "$status" "$pattern" "$output"
        failed=1
    fi
}

check list 0 '^-- 0 Kbytes in 4 Requests\.$' ctl/ternqueue -p
check hold-mark 0 '^DDDDDD4! ' ctl/ternqueue -p
check directly 0 'accessing queue directly' ctl/ternqueue -p
check json 0 '"queue_name": "deferred", "queue_id": "BBBBBB2"' ctl/ternqueue -j
check flush 69 'mail system is down' ctl/ternqueue -f
check flush-id 69 'mail system is down' ctl/ternqueue -i AAAAAA1
check flush-bad-id 64 'invalid queue ID' ctl/ternqueue -i 'no/such'
check two-modes 64 usage ctl/ternqueue -p -f
check none 64 usage ctl/ternqueue
check shape 0 '^ *TOTAL 2 ' ctl/ternshape deferred
check shape-sender 0 'MAILER-DAEMON 1 ' ctl/ternshape -s deferred
check cat 0 '^recipient: r2@example.net$' ctl/terncat -q BBBBBB2
check cat-event 0 '^delivery_event: .*(no route)$' ctl/terncat -eq BBBBBB2
check cat-end 0 '^\*\*\* MESSAGE FILE END cur/BBBBBB2 \*\*\*$' ctl/terncat -q BBBBBB2
check cat-json 0 '"sender": "s4@example.com"' ctl/terncat -jq DDDDDD4
check cat-missing 66 'no such message' ctl/terncat -q ZZZZZZ9
[ "$(ctl/terncat -bhq AAAAAA1)" = "$(printf 'Subject: one\n\nbody one')" ] || { echo FAILED cat-bh; failed=1; }
[ "$(ctl/terncat -bq AAAAAA1)" = "$(printf '\nbody one')" ] || { echo FAILED cat-b; failed=1; }
[ "$(ctl/terncat -hq AAAAAA1)" = "Subject: one" ] || { echo FAILED cat-h; failed=1; }

check hold 0 'Placed on hold: 1 message$' ctl/ternsuper -h AAAAAA1
check held 0 '^AAAAAA1! ' ctl/ternqueue -p
check not-found 0 'ZZZZZZ9: nothing changed' ctl/ternsuper -d ZZZZZZ9
check bad-id 64 'invalid mail queue ID' ctl/ternsuper -d ../x
check release-all 0 'Released from hold: 2 messages$' ctl/ternsuper -H ALL
check requeue 0 'Requeued: 1 message$' ctl/ternsuper -r BBBBBB2
check by-sender 0 'Placed on hold: 1 message$' ctl/ternsuper --sender 's2@*' -h ALL
check by-age 0 'Deleted: 1 message$' ctl/ternsuper --older-than 210m -d ALL
check expire 0 'Force-expired: 1 message$' ctl/ternsuper -e CCCCCC3
check expired 0 '^CCCCCC3# ' ctl/ternqueue -p
check queue-limit 0 '' ctl/ternsuper -d CCCCCC3 hold
check kept 0 '^CCCCCC3# ' ctl/ternqueue -p
check structure 0 'Checked: 3 good, 0 damaged' ctl/ternsuper -s
printf x | dd of="$base/spool/queue/new/CCCCCC3" bs=1 seek=20 conv=notrunc 2>/dev/null
check cat-damaged 65 '^body three$' ctl/terncat -q CCCCCC3
check cat-damaged-says 65 'does not match its check sum' ctl/terncat -q CCCCCC3
check repair 0 'Checked: 2 good, 1 damaged' ctl/ternsuper -s
check aside 65 '^body three$' ctl/terncat -q CCCCCC3
printf '%s\n' 'BBBBBB2! 123' AAAAAA1 '' | ctl/ternsuper -d - 2>&1 | grep -q 'Deleted: 2 messages$' || { echo FAILED delete-input; failed=1; }
check empty 0 '^Mail queue is empty$' ctl/ternqueue -p
check logged 0 'tern/ternsuper\[[0-9]*\]: BBBBBB2: removed$' cat "$base/log/mail.log"

check probe-extracting 64 '-t option cannot be used with -bv' ctl/sendmail -bv -t
check probe-nobody 64 'Recipient addresses must be specified' ctl/sendmail -bv
check probe-bad 65 'not an address' ctl/sendmail -bv 'a@b@c'
check verbose-nobody 64 'Recipient addresses must be specified' ctl/sendmail -v

check log 0 '^tern/ternlog: warning: two words$' ctl/ternlog -p warn two words
check log-tag 0 '^mine: hello$' ctl/ternlog -t mine -i hello
check log-file 0 ' mine\[[0-9]*\]: hello$' cat "$base/log/mail.log"
check log-priority 64 'unknown priority' ctl/ternlog -p loud x
printf 'first\nsec\007ond' | ctl/ternlog -t lines 2>/dev/null
check log-lines 0 ' lines\[[0-9]*\]: sec?ond$' cat "$base/log/mail.log"
rm "$base/log/mail.log"
check log-refused 77 'not in the log' ctl/ternlog x

[ $failed -eq 0 ] && echo "all good"
exit $failed
