#!/usr/bin/env python3
"""Which hosts mail goes to: MX records from a real name server (nsd), servers on
port 25 of several loopback addresses in a network namespace of its own. TAP."""

import re
import subprocess
import time

import mail_peers as peers
import tern_test as t

peers.enter_own_network()
if not peers.find_program("nsd"):
    t.skip_all("nsd is not installed")
if not t.program("master") or not t.program("smtp"):
    t.skip_all("tern is not built")

SENDER = "ada@example.test"

ZONE = """$ORIGIN mx.test.
$TTL 300
@ IN SOA ns hostmaster 1 3600 900 604800 120
@ IN NS ns
ns IN A 127.0.0.1
good IN A 127.0.0.10
good2 IN A 127.0.0.11
good3 IN A 127.0.0.12
good4 IN A 127.0.0.13
down IN A 127.0.0.20
busy IN A 127.0.0.21
refuses IN A 127.0.0.22
hangsup IN A 127.0.0.23
grey IN A 127.0.0.24
strict IN A 127.0.0.25
mirror IN A 127.0.0.26
nodot IN A 127.0.0.27
me IN A 127.0.0.1

order IN MX 30 good3
order IN MX 10 good
order IN MX 20 good2
equal IN MX 10 good
equal IN MX 10 good2
equal IN MX 10 good3
equal IN MX 10 good4
second IN MX 10 down
second IN MX 20 good
tempfail IN MX 10 busy
tempfail IN MX 20 good
refused IN MX 10 refuses
refused IN MX 20 good
closed IN MX 10 hangsup
closed IN MX 20 good
greylist IN MX 10 grey
greylist IN MX 20 good
unknown IN MX 10 strict
unknown IN MX 20 good
allgrey IN MX 10 grey
null IN MX 0 .
onlya IN A 127.0.0.10
severala IN A 127.0.0.20
severala IN A 127.0.0.10
alias IN CNAME order
aliasa IN CNAME onlya
target IN CNAME good2
mxalias IN MX 10 target
dangling IN CNAME nothing-here
circle1 IN CNAME circle2
circle2 IN CNAME circle1
nodata IN TXT "no address"
gone IN MX 10 nowhere
partly IN MX 10 nowhere
partly IN MX 20 good
lame IN NS ns.lame
ns.lame IN A 127.0.0.2
mxlame IN MX 10 host.lame
mxhalflame IN MX 10 host.lame
mxhalflame IN MX 20 good
mixed IN A 127.0.0.20
dual IN A 127.0.0.10
dual IN AAAA 2001:db8::1
six IN AAAA 2001:db8::1
sixmx IN MX 10 six
sixthen4 IN MX 10 six
sixthen4 IN MX 20 good
onlysix IN MX 10 six6
six6 IN AAAA fd00:7e57::2
self IN MX 10 mail.example.test.
selfaddress IN MX 10 me
backup IN MX 10 down
backup IN MX 20 mail.example.test.
backup IN MX 30 good
backupgood IN MX 10 good
backupgood IN MX 20 mail.example.test.
echo IN MX 10 mirror
fall IN MX 10 down
fallgrey IN MX 10 grey
fallnull IN MX 0 .
fallgone IN A 127.0.0.20
fallself IN MX 10 mail.example.test.
*.wild IN MX 10 good
""" + "".join(f"many IN MX {10 + i} dead{i}\ndead{i} IN A 127.0.1.{i + 1}\n" for i in range(12)) \
    + "".join(f"crowd IN MX 10 member{i}\nmember{i} IN A 127.0.2.{i + 1}\n" for i in range(60)) \
    + "".join(f"sessions IN MX {10 + i} busy{i}\nbusy{i} IN A 127.0.3.{i + 1}\n" for i in range(4))

SETTINGS = ["minimal_backoff_time=1000s", "maximal_backoff_time=1000s", "smtp_connect_timeout=5s", "dns_timeout=1s",
            "dns_attempts=2", "smtpd_peername_lookup=no", "default_destination_concurrency_limit=20",
            "default_destination_concurrency_failed_cohort_limit=50", "inet_protocols=all", "inet_interfaces=127.0.0.1, [::1]",
            "transport_maps=inline:{ {fall.mx.test=withrelay:} {fallgrey.mx.test=withrelay:} {fallnull.mx.test=withrelay:}"
            " {fallgone.mx.test=withrelay:} {fallself.mx.test=withrelay:} {crowd.mx.test=nolimit:}"
            " {sixthen4.mx.test=six:} {dual.mx.test=six:} }"]

SERVICES = """withrelay unix - - - - - smtp
  -o smtp_fallback_relay=[127.0.0.20],[127.0.0.14]
nolimit unix - - - - - smtp
  -o smtp_mx_address_limit=0 -o smtp_mx_session_limit=0
six unix - - - - - smtp
  -o smtp_address_preference=ipv6
"""

servers = {name: peers.Server(address, script=script, name=helo) for name, address, script, helo in [
    ("good", "127.0.0.10", None, "good.mx.test"),
    ("good2", "127.0.0.11", None, "good2.mx.test"),
    ("good3", "127.0.0.12", None, "good3.mx.test"),
    ("good4", "127.0.0.13", None, "good4.mx.test"),
    ("fallback", "127.0.0.14", None, "fallback.mx.test"),
    ("busy", "127.0.0.21", {"GREETING": "421 4.3.2 too busy"}, "busy"),
    ("refuses", "127.0.0.22", {"GREETING": "554 5.7.1 not you"}, "refuses"),
    ("hangsup", "127.0.0.23", {"GREETING": peers.DROP}, "hangsup"),
    ("grey", "127.0.0.24", {"RCPT": "450 4.2.0 greylisted"}, "grey"),
    ("strict", "127.0.0.25", {"RCPT": "550 5.1.1 nobody of that name"}, "strict"),
    ("mirror", "127.0.0.26", None, "mail.example.test"),
    ("literal", "127.0.0.44", None, "literal.mx.test"),
    *[(f"busy{i}", f"127.0.3.{i + 1}", {"GREETING": "421 4.3.2 too busy"}, "busy") for i in range(4)],
]}
has_ipv6 = subprocess.run([peers.find_program("ip"), "-6", "address", "add", "fd00:7e57::2/128", "dev", "lo", "nodad"],
                          capture_output=True).returncode == 0
if has_ipv6:
    servers["six"] = peers.Server("fd00:7e57::2", name="six.mx.test")

# domain, where it goes: a server's name, or (status, what became of it, what the log line says)
CASES = [
    ("order.mx.test", "good"),
    ("second.mx.test", "good"),
    ("tempfail.mx.test", "good"),
    ("refused.mx.test", "good"),
    ("closed.mx.test", "good"),
    ("greylist.mx.test", "good"),
    ("onlya.mx.test", "good"),
    ("severala.mx.test", "good"),
    ("alias.mx.test", "good"),
    ("aliasa.mx.test", "good"),
    ("mxalias.mx.test", "good2"),
    ("partly.mx.test", "good"),
    ("mxhalflame.mx.test", "good"),
    ("dual.mx.test", "good"),
    ("sixthen4.mx.test", "good"),
    ("x.wild.mx.test", "good"),
    ("backupgood.mx.test", "good"),
    ("[127.0.0.44]", "literal"),
    ("fall.mx.test", "fallback"),
    ("fallgrey.mx.test", "fallback"),
    ("fallgone.mx.test", "fallback"),
    ("unknown.mx.test", ("bounced", "5.1.1", "550 5.1.1 nobody of that name")),
    ("null.mx.test", ("bounced", "5.1.10", r"Domain null\.mx\.test does not accept mail \(nullMX\)")),
    ("fallnull.mx.test", "fallback"),
    ("fallself.mx.test", ("bounced", "5.4.6", "loops back to myself")),
    ("nothing.mx.test", ("bounced", "5.4.4", r"Host or domain name not found\. Name service error for "
                         r"name=nothing\.mx\.test type=A+: Host not found")),
    ("dangling.mx.test", ("bounced", "5.4.4", "Host not found")),
    ("nodata.mx.test", ("bounced", "5.4.4", "Host found but no data record of requested type")),
    ("gone.mx.test", ("bounced", "5.4.4", "name=nowhere.mx.test type=A+: Host not found")),
    ("lame.mx.test", ("deferred", "4.4.3", "name=lame.mx.test type=MX: Host not found, try again")),
    ("x.broken.test", ("deferred", "4.4.3", "try again")),
    ("mxlame.mx.test", ("deferred", "4.4.3", "name=host.lame.mx.test type=A: Host not found, try again")),
    ("circle1.mx.test", ("deferred", "4.4.3", "try again")),
    ("allgrey.mx.test", ("deferred", "4.2.0", "450 4.2.0 greylisted")),
    ("sixmx.mx.test", ("deferred", "4.4.1", r"connect to six\.mx\.test\[2001:db8::1\]:25")),
    ("self.mx.test", ("bounced", "5.4.6", r"mail for self\.mx\.test loops back to myself")),
    ("selfaddress.mx.test", ("bounced", "5.4.6", "loops back to myself")),
    ("[127.0.0.1]", ("", "", "")),
    ("echo.mx.test", ("bounced", "5.4.6", r"mail for echo\.mx\.test loops back to myself")),
    ("backup.mx.test", ("deferred", "4.4.1", r"connect to down\.mx\.test\[127\.0\.0\.20\]:25: Connection refused")),
    ("many.mx.test", ("deferred", "4.4.1", "Connection refused")),
    ("crowd.mx.test", ("deferred", "4.4.1", "Connection refused")),
    ("sessions.mx.test", ("deferred", "4.3.2", "421 4.3.2 too busy")),
]
CASES = [x for x in CASES if x[0] != "[127.0.0.1]"] + ([("onlysix.mx.test", "six")] if has_ipv6 else [])


def user_of(domain):
    return re.sub(r"[^a-z0-9]", "-", domain.strip("[]"))


def outcome_line(tern, address):
    for line in tern.log().splitlines():
        if f"to=<{address}>," in line and "status=" in line:
            return line
    return ""


def submit_all(tern):
    client = peers.Client(tern.smtp_port)
    for domain, _ in CASES:
        replies = client.mail(SENDER, [f"{user_of(domain)}@{domain}"], b"Subject: to %s\r\n\r\nhello\r\n" % domain.encode())
        t.ok(replies[-1][0] == "250", f"{domain} is taken", replies)
    client.quit()


def check_outcomes(tern):
    notices = {}
    wanted_notices = {f"{user_of(d)}@{d}" for d, to in CASES if to[0] == "bounced"}

    def read_notices():
        for path in tern.mailbox("ada"):
            text = path.read_text(errors="replace")
            found = re.search(r"^Final-Recipient: rfc822; ?(.*)$", text, re.M)
            if found:
                notices[found[1].strip()] = text
        return wanted_notices <= set(notices)

    t.wait_for(lambda: all(outcome_line(tern, f"{user_of(d)}@{d}") for d, _ in CASES), 50)
    t.ok(t.wait_for(read_notices, 20), "a notice came for all that was returned", wanted_notices - set(notices))
    for domain, to in CASES:
        address = f"{user_of(domain)}@{domain}"
        line = outcome_line(tern, address)
        if isinstance(to, str):
            t.ok("status=sent" in line and servers[to].recipients().count(address) == 1, f"{domain} goes to {to}",
                 line or "no outcome")
            continue
        what, status, words = to
        t.ok(f"status={what}" in line and f"dsn={status}" in line and re.search(words, line) is not None,
             f"{domain} is {what}, {status}", line or "no outcome")
        if what == "bounced":
            notice = notices.get(address, "")
            t.ok(f"Status: {status}" in notice and "Action: failed" in notice, f"{domain}: the notice says so", notice[:3000])
        else:
            t.ok(address not in notices, f"{domain}: no notice", notices.get(address, "")[:500])
    t.ok("556 5.1.10" in notices.get("null-mx-test@null.mx.test", ""), "null MX: Diagnostic-Code 556",
         notices.get("null-mx-test@null.mx.test", "")[:3000])


def check_attempts(tern):
    def attempts(pattern):
        return len(set(re.findall(r"connect to \S*(" + pattern + r"):25: Connection refused", tern.log())))

    t.is_(attempts(r"\[127\.0\.1\.\d+\]"), 5, "of 12 MX hosts smtp_mx_address_limit are tried")
    t.is_(re.findall(r"\]: connect to dead\d+\S*\[127\.0\.1\.(\d+)\]", tern.log()), list("12345"), "the first five, in order")
    t.is_(attempts(r"\[127\.0\.2\.\d+\]"), 60, "without the limit all of 60, which came by TCP")
    t.is_(sum(servers[f"busy{i}"].connections for i in range(4)), 2, "smtp_mx_session_limit sessions that fail")
    t.is_(servers["good3"].recipients(), [], "the last resort was not needed")
    t.ok("[127.0.0.10]:25" not in outcome_line(tern, "backup-mx-test@backup.mx.test") and
         "backup-mx-test@backup.mx.test" not in servers["good"].recipients(), "hosts behind ourselves are not tried")


def check_equal(tern):
    """100 single deliveries over four hosts; a server that gets none has odds of 3e-13."""
    number = 100
    client = peers.Client(tern.smtp_port)
    for i in range(number):
        client.mail(SENDER, [f"e{i}@equal.mx.test"], b"Subject: e\r\n\r\nx\r\n")
    client.quit()
    hosts = ["good", "good2", "good3", "good4"]

    def counts():
        return [sum(x.endswith("@equal.mx.test") for x in servers[h].recipients()) for h in hosts]

    t.wait_for(lambda: sum(counts()) >= number, 30)
    got = counts()
    print(f"# equal preference: {dict(zip(hosts, got))}", flush=True)
    t.ok(sum(got) == number and min(got) > 0, "servers of equal preference share the mail", got)


def check_without_names(tern, names):
    """The name server is gone: what is known still goes out, the rest waits."""
    names.close()
    client = peers.Client(tern.smtp_port)
    client.mail(SENDER, ["late@order.mx.test"], b"Subject: known\r\n\r\nx\r\n")
    client.mail(SENDER, ["late@never-asked.mx.test"], b"Subject: unknown\r\n\r\nx\r\n")
    client.quit()
    t.ok(t.wait_for(lambda: "late@order.mx.test" in servers["good"].recipients(), 15), "without DNS: answers are remembered",
         outcome_line(tern, "late@order.mx.test"))
    line = t.wait_for(lambda: outcome_line(tern, "late@never-asked.mx.test"), 30)
    t.ok("dsn=4.4.3, status=deferred" in line, "without DNS: unknown domains wait", line)


def main():
    with t.Instance(settings=SETTINGS + ["smtp_connection_cache_on_demand=no"]) as tern:
        names = peers.NameServer(tern.top / "dns", {"mx.test": ZONE, "broken.test": None})
        try:
            tern.set(f"dns_servers = [127.0.0.1]:{peers.free_port()}, [127.0.0.1]:{names.port}")   # the first is dead
            tern.set(SERVICES, "master.cf")
            tern.add_user("ada")
            tern.start()
            started = time.monotonic()
            submit_all(tern)
            check_outcomes(tern)
            check_attempts(tern)
            check_equal(tern)
            check_without_names(tern, names)
            print(f"# {time.monotonic() - started:.1f} s", flush=True)
            peers.check_health(tern)
        finally:
            names.close()
    for server in servers.values():
        server.close()


main()
t.done()
