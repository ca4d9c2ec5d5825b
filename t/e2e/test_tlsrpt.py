#!/usr/bin/env python3
"""Reports on TLS (RFC 8460): results told to tlsrpt come back as reports, by mail and by
HTTPS, right in every field; they are kept over a restart and tried again."""

import base64
import datetime
import email
import gzip
import json
import pathlib
import re
import subprocess
import tempfile
import time

import mail_peers as peers
import tern_test as t
import tls_peers as tls
import web_peers as web

t.need("tern", "master", "fetch", "tlsrpt", "smtpd", "local")
PROBE = t.BUILD / "t" / "e2e" / "fetch_probe"
if not PROBE.exists():
    t.skip_all("not built: t/e2e/fetch_probe")
if not peers.find_program("openssl"):
    t.skip_all("openssl is not installed")

TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-tlsrpt-"))
authority = tls.Authority(TOP / "authority")
status = {"now": 201}


def site(method, host, path, headers, body):
    if host.startswith("mta-sts."):
        return (200 if host in policies else 404), {"Content-Type": "text/plain"}, policies.get(host, b"")
    return status["now"], {"Content-Type": "text/plain"}, b"thanks"


table = {("report.test", "A"): ["127.0.0.1"]}
dns = web.NameServer(table)

# Domains that mail is sent to by smtp: certificate of the MX host, policy, (policy-type, result-type or None).
PORT = peers.free_port()
MAIL_CASES = {
    "rplain": (None, None, ("no-policy-found", "starttls-not-supported")),
    "rtls": ("own", None, ("no-policy-found", None)),
    "rsts": ("right", "enforce", ("sts", None)),
    "rself": ("own", "enforce", ("sts", "certificate-not-trusted")),
    "rwrong": ("wrong", "enforce", ("sts", "certificate-host-mismatch")),
    "rold": ("old", "enforce", ("sts", "certificate-expired")),
    "rtest": ("wrong", "testing", ("sts", "certificate-host-mismatch")),
    "rother": ("right", "other", ("sts", "validation-failure")),
    "rmissing": ("own", "missing", ("sts", "sts-policy-fetch-error")),
    "rdane": ("own", "3 1 1", ("tlsa", None)),
    "rbaddane": ("own", "wrong", ("tlsa", "validation-failure")),
    "rmail": ("own", None, ("no-policy-found", None)),
    "rnone": ("own", None, None),
}
mail_servers, policies = {}, {}
URL = "https://report.test:8443/v1/tlsrpt"  # the port is put in when the server has one
sites = {"report.test": authority.issue("report.test")}


def sts_policy(domain, mode):
    mx = f"elsewhere.{domain}" if mode == "other" else f"mx.{domain}"
    return f"version: STSv1\nmode: {'testing' if mode == 'testing' else 'enforce'}\nmx: {mx}\nmax_age: 86400\n".encode()


def make_mail_world():
    for number, (name, (kind, wanted, _)) in enumerate(MAIL_CASES.items(), 1):
        domain, host = f"{name}.test", f"mx.{name}.test"
        certificate = kind and authority.issue("not.test" if kind == "wrong" else host, own=kind == "own",
                                               dates=("20200101000000Z", "20200201000000Z") if kind == "old" else None)
        mail_servers[name] = tls.TlsServer(certificate, address=f"127.0.31.{number}", port=PORT, name=host,
                                           starttls="220 2.0.0 go ahead" if kind else None)
        table[(domain, "MX")] = [(10, host)]
        table[(host, "A")] = [f"127.0.31.{number}"]
        if name != "rnone":
            table[(f"_smtp._tls.{domain}", "TXT")] = ["v=TLSRPTv1; rua=" + ("mailto:tls@rmail.test" if name == "rmail" else URL)]
        if "dane" in name:
            dns.authentic |= {domain, host, f"_{PORT}._tcp.{host}"}
            table[(f"_{PORT}._tcp.{host}", "TLSA")] = [certificate.tlsa() if name == "rdane" else "3 1 1 " + "07" * 32]
        elif wanted:
            table[(f"_mta-sts.{domain}", "TXT")] = ["v=STSv1; id=1;"]
            table[(f"mta-sts.{domain}", "A")] = ["127.0.0.1"]
            sites[f"mta-sts.{domain}"] = authority.issue(f"mta-sts.{domain}")
            if wanted != "missing":
                policies[f"mta-sts.{domain}"] = sts_policy(domain, wanted)


make_mail_world()
server = web.WebServer(sites, site)
for key, texts in table.items():
    if key[0].startswith("_smtp._tls."):
        texts[0] = texts[0].replace(":8443/", f":{server.port}/")
URL = URL.replace(":8443/", f":{server.port}/")
SETTINGS = [dns.setting, f"fetch_ca_file={authority.file}", "fetch_private_addresses=yes", "inet_protocols=ipv4",
            "tlsrpt_organization=Example Organization", "tlsrpt_contact=tls@example.test",
            "tlsrpt_sender=reports@example.test", "tlsrpt_delay_limit=0", "myhostname=mail.example.test"]
STS = "version: STSv1\nmode: enforce\nmx: *.sts.test\nmax_age: 86400"


def tell(tern, **fields):
    words = [f"{name}={value}" for name, value in fields.items()]
    subprocess.run([str(PROBE), str(tern.spool / "public" / "tlsrpt"), "smtp", "result", *words], check=True, timeout=30)


def rows(tern):
    """{domain: [successes, failures, state]} of tern tlsrpt."""
    listed = tern.run("tlsrpt")
    return {line.split("\t")[0]: [int(line.split("\t")[1]), int(line.split("\t")[2]), line.split("\t")[4]]
            for line in listed.stdout.splitlines()}


def send(tern, *words):
    return tern.run("tlsrpt", "send", *words, timeout=120).stdout.strip()


def posted():
    return [json.loads(gzip.decompress(body)) for method, _, _, _, body in server.requests if method == "POST"]


def test_mail(tern):
    record = "v=TLSRPTv1; rua=mailto:anna@example.test"
    before = int(time.time())
    for _ in range(3):
        tell(tern, domain="sts.test", record=record, type=1, policy=STS, mx_patterns="*.sts.test", success="yes")
    failure = dict(domain="sts.test", record=record, type=1, policy=STS, mx_patterns="*.sts.test",
                   result_type="certificate-expired", receiving_host="mx.sts.test", receiving_address="192.0.2.7",
                   helo="mx.sts.test", sending_address="192.0.2.1", reason="certificate has\x07 expired")
    tell(tern, **failure)
    tell(tern, **failure)
    tell(tern, **{**failure, "result_type": "starttls-not-supported", "reason": "", "helo": ""})
    tell(tern, domain="sts.test", record=record, type=0, policy="3 1 1 00ff", mx_patterns="mx.sts.test", success="yes")
    tell(tern, domain="sts.test", record=record, type=2, result_type="validation-failure")
    t.ok(t.wait_for(lambda: rows(tern).get("sts.test", [0])[:2] == [4, 4]), "all results are counted", rows(tern))
    t.is_(rows(tern)["sts.test"][2], "open", "the report is open")
    t.is_(send(tern, "sts.test"), "1 sent, 0 to be tried again", "it is sent when asked for")
    t.is_(rows(tern), {}, "and is gone then")
    stored = tern.wait_stored("anna")
    t.is_(len(stored), 1, "one mail came")
    raw = stored[0]
    message = email.message_from_bytes(raw)
    t.is_(message["TLS-Report-Domain"], "sts.test", "TLS-Report-Domain")
    t.is_(message["TLS-Report-Submitter"], "mail.example.test", "TLS-Report-Submitter")
    t.is_(message["TLS-Required"], "No", "TLS-Required: No")
    t.is_(message["From"], "<reports@example.test>", "From")
    t.is_(message["Return-Path"], "<reports@example.test>", "the envelope's sender")
    t.is_(message["To"], "<anna@example.test>", "To")
    t.is_(message["Auto-Submitted"], "auto-generated", "Auto-Submitted")
    subject = re.sub(r"\s+", " ", message["Subject"])
    found = re.fullmatch(r"Report Domain: sts\.test Submitter: mail\.example\.test Report-ID: <(\S+)>", subject)
    t.ok(found, "the subject as RFC 8460 section 5.3 has it", subject)
    t.is_((message.get_content_type(), message.get_param("report-type")), ("multipart/report", "tlsrpt"), "Content-Type")
    text, attached = message.get_payload()
    t.is_(text.get_content_type(), "text/plain", "a part for people")
    t.ok("4 sessions succeeded, 4 failed" in text.get_payload(), "with the counts")
    t.is_((attached.get_content_type(), attached["Content-Transfer-Encoding"]), ("application/tlsrpt+gzip", "base64"),
          "a part for programs")
    t.is_(attached.get_content_disposition(), "attachment", "which is an attachment")
    name = re.fullmatch(r"mail\.example\.test!sts\.test!(\d+)!(\d+)\.json\.gz", attached.get_filename())
    t.ok(name, "its file name", attached.get_filename())
    t.ok(all(len(line) <= 78 for line in raw.decode().splitlines()), "no line is too long")
    report = json.loads(gzip.decompress(base64.b64decode(attached.get_payload())))
    check_report(report, found[1], name, before)


def check_report(report, report_id, name, before):
    def date(text):
        return int(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp())
    t.is_(report["organization-name"], "Example Organization", "organization-name")
    t.is_(report["contact-info"], "tls@example.test", "contact-info")
    t.is_(report["report-id"], report_id, "report-id is that of the subject")
    begin, end = date(report["date-range"]["start-datetime"]), date(report["date-range"]["end-datetime"])
    t.is_((begin, end), (int(name[1]), int(name[2])), "date-range is that of the file name")
    t.ok(begin % 86400 == 0 and begin <= before <= end <= time.time(), "from midnight in UTC until now")
    policies = report["policies"]
    t.is_(len(policies), 3, "three policies")
    t.is_(policies[0], {
        "policy": {"policy-type": "sts", "policy-string": STS.split("\n"), "policy-domain": "sts.test",
                   "mx-host": ["*.sts.test"]},
        "summary": {"total-successful-session-count": 3, "total-failure-session-count": 3},
        "failure-details": [
            {"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.1", "receiving-mx-hostname": "mx.sts.test",
             "receiving-mx-helo": "mx.sts.test", "receiving-ip": "192.0.2.7", "failed-session-count": 2,
             "failure-reason-code": "certificate has? expired"},
            {"result-type": "starttls-not-supported", "sending-mta-ip": "192.0.2.1",
             "receiving-mx-hostname": "mx.sts.test", "receiving-ip": "192.0.2.7", "failed-session-count": 1}]},
        "the MTA-STS policy with its failures")
    t.is_(policies[1], {"policy": {"policy-type": "tlsa", "policy-string": ["3 1 1 00ff"], "policy-domain": "sts.test",
                                   "mx-host": ["mx.sts.test"]},
                        "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0}},
          "the TLSA records")
    t.is_(policies[2], {"policy": {"policy-type": "no-policy-found", "policy-domain": "sts.test"},
                        "summary": {"total-successful-session-count": 0, "total-failure-session-count": 1},
                        "failure-details": [{"result-type": "validation-failure", "failed-session-count": 1}]},
          "no policy")


def test_post(tern):
    record = f"v=TLSRPTv1;rua={URL}"
    tell(tern, domain="post.test", record=record, success="yes")
    t.ok(t.wait_for(lambda: "post.test" in rows(tern)), "a result for a domain that wants reports by HTTPS")
    t.is_(send(tern), "1 sent, 0 to be tried again", "sent")
    t.is_(len(server.requests), 1, "one request")
    method, _, path, headers, _ = server.requests[0]
    t.is_((method, path, headers.get("Content-Type")), ("POST", "/v1/tlsrpt", "application/tlsrpt+gzip"), "a POST, its type")
    t.is_(posted()[0]["policies"][0]["summary"]["total-successful-session-count"], 1, "with the report")


def test_again(tern):
    record = f"v=TLSRPTv1; rua=mailto:bert@example.test,{URL}"
    server.requests.clear()
    status["now"] = 503
    tell(tern, domain="again.test", record=record, success="yes")
    t.ok(t.wait_for(lambda: "again.test" in rows(tern)), "a result for a domain with two places")
    t.is_(send(tern), "0 sent, 1 to be tried again", "one of them does not take it")
    t.is_(len(tern.wait_stored("bert")), 1, "the other has it")
    t.ok(rows(tern)["again.test"][2].startswith("due "), "it is due again later")
    t.ok(tern.wait_log(f"warning: TLS report on again.test cannot be sent to {URL}: the server answers with status 503"),
         "the log says why")
    tell(tern, domain="again.test", record=record, success="yes")
    tern.stop()
    t.is_(len(list((tern.directory / "data" / "tlsrpt").glob("*-again.test"))), 2, "both parts of the day are on disk")
    tern.start()
    t.ok(t.wait_for(lambda: rows(tern).get("again.test")), "they outlive a restart")
    status["now"] = 200
    t.is_(send(tern), "2 sent, 0 to be tried again", "and are sent")
    t.is_([x["policies"][0]["summary"]["total-successful-session-count"] for x in posted()[1:]], [1, 1], "each once")
    ranges = sorted((x["date-range"]["start-datetime"], x["date-range"]["end-datetime"]) for x in posted()[1:])
    t.ok(ranges[0][1] < ranges[1][0], "of times that do not overlap", ranges)
    t.ok(len({x["report-id"] for x in posted()[1:]}) == 2, "under names of their own")
    t.is_(len(tern.wait_stored("bert", 2)), 2, "bert has one of each")
    t.is_(list((tern.directory / "data" / "tlsrpt").iterdir()), [], "no file is left")


def test_day_ends(tern):
    """Results of a day that is over are sent by themselves; the clock is moved by giving a file another date."""
    record = f"v=TLSRPTv1; rua={URL}"
    folder = tern.directory / "data" / "tlsrpt"
    server.requests.clear()
    tell(tern, domain="past.test", record=record, success="yes")
    t.ok(t.wait_for(lambda: list(folder.glob("*-past.test")), 20), "results are written down after some seconds")
    tern.stop()
    today = int(time.time()) // 86400 * 86400
    next(folder.glob("*-past.test")).rename(folder / f"{today - 86400}-past.test")
    tern.start()
    t.ok(t.wait_for(lambda: rows(tern).get("past.test", ["", "", "due"])[2].startswith("due"), 10), "the report is due")
    t.ok(t.wait_for(lambda: posted(), 20), "it is sent by itself")
    dates = posted()[0]["date-range"]

    def text(date):
        return datetime.datetime.fromtimestamp(date, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    t.is_(dates, {"start-datetime": text(today - 86400), "end-datetime": text(today - 1)}, "of the whole day")
    t.ok(t.wait_for(lambda: not list(folder.iterdir()), 10), "and gone")


def test_refused(tern):
    for record in ("", "v=spf1 -all", "v=TLSRPTv1", "v=TLSRPTv1; rua=ftp://x.test/", "v=TLSRPTv1; rua=http://x.test/"):
        tell(tern, domain="none.test", record=record, success="yes")
    tell(tern, domain="../none.test", record="v=TLSRPTv1; rua=mailto:anna@example.test", success="yes")
    tell(tern, domain="last.test", record="v=TLSRPTv1; rua=mailto:anna@example.test", success="yes")
    t.ok(t.wait_for(lambda: "last.test" in rows(tern)), "a result is counted")
    t.is_(list(rows(tern)), ["last.test"], "those of domains that want no reports are not")
    torn = tern.directory / "data" / "tlsrpt"
    tern.stop()
    for path in torn.iterdir():
        path.write_bytes(path.read_bytes()[:-20])
    tern.start()
    t.ok(t.wait_for(lambda: tern.run("tlsrpt").returncode == 0), "it runs again")
    t.is_(rows(tern), {}, "a torn file does not count")
    t.is_(send(tern), "0 sent, 0 to be tried again", "nothing to send")
    t.is_(tern.run("tlsrpt", "what").returncode, 64, "words that tern tlsrpt does not know")


def outcome(tern, address):
    lines = [x for x in tern.log().splitlines() if f"to=<{address}>," in x and "status=" in x]
    return lines[-1] if lines else ""


def test_from_smtp(tern):
    for name in MAIL_CASES:
        tern.send("s@example.test", [f"r@{name}.test"], b"Subject: x\n\nx\n")
    for name in MAIL_CASES:
        t.wait_for(lambda: outcome(tern, f"r@{name}.test"), 60)
    wanted = {f"{name}.test" for name in MAIL_CASES} - {"rnone.test"}
    t.ok(t.wait_for(lambda: set(rows(tern)) >= wanted, 20), "there are results of all that want reports", sorted(rows(tern)))
    t.is_(set(rows(tern)) - wanted, set(), "and of nobody else")
    server.requests.clear()
    t.is_(send(tern), f"{len(wanted)} sent, 0 to be tried again", "all reports are sent")
    reports = {x["policies"][0]["policy"]["policy-domain"]: x for x in posted()}
    for name, (_, _, expected) in MAIL_CASES.items():
        if expected and name != "rmail":
            check_case(name, reports.get(f"{name}.test"), *expected)
    t.ok(t.wait_for(lambda: len(mail_servers["rmail"].messages) == 2, 20), "a report goes by mail to a domain with a record")
    t.ok("TLS-Report-Domain: rmail.test" in mail_servers["rmail"].messages[1], "it is the report")
    t.ok(outcome(tern, "tls@rmail.test"), "its delivery is over")
    tern.send("s@example.test", ["last@rtls.test"], b"Subject: x\n\nx\n")
    t.ok(t.wait_for(lambda: "rtls.test" in rows(tern), 20), "a later result is there")
    t.is_(list(rows(tern)), ["rtls.test"], "but none of the report's own delivery")


def check_case(name, report, policy_type, result_type):
    entries = [x for x in (report or {"policies": []})["policies"] if x["policy"]["policy-type"] == policy_type]
    if not t.is_(len(entries), 1, f"{name}: one policy of type {policy_type}"):
        print("#", report)
        return
    entry = entries[0]
    failures = entry.get("failure-details", [])
    t.is_([x["result-type"] for x in failures], [result_type] if result_type else [], f"{name}: the result types")
    t.is_(entry["summary"], {"total-successful-session-count": 0 if result_type else 1,
                             "total-failure-session-count": 1 if result_type else 0}, f"{name}: the summary")
    if policy_type == "sts" and result_type != "sts-policy-fetch-error":
        t.is_("\n".join(entry["policy"]["policy-string"]), policies[f"mta-sts.{name}.test"].decode().strip(), f"{name}: its lines")
    if policy_type == "tlsa":
        t.is_(entry["policy"]["policy-string"], table[(f"_{PORT}._tcp.mx.{name}.test", "TLSA")], f"{name}: its records")
        t.is_(entry["policy"]["mx-host"], [f"mx.{name}.test"], f"{name}: its host")
    for failure in failures:
        t.is_((failure["receiving-mx-hostname"], failure["receiving-ip"]),
              (f"mx.{name}.test", table[(f"mx.{name}.test", "A")][0]), f"{name}: whose failure it was")
        if failure["result-type"].startswith("certificate"):
            t.is_((failure["sending-mta-ip"].startswith("127."), failure["receiving-mx-helo"]), (True, f"mx.{name}.test"),
                  f"{name}: and both ends")


def main():
    with t.Instance(settings=[*SETTINGS, "smtp_tlsrpt_enable=yes", "smtp_tls_security_level=dane", f"smtp_tcp_port={PORT}",
                              "smtp_dns_support_level=dnssec", f"smtp_tls_CAfile={authority.file}",
                              f"mta_sts_https_port={server.port}", "smtp_connection_cache_on_demand=no",
                              "dns_timeout=2s"]) as tern:
        tern.start()
        test_from_smtp(tern)
        peers.check_health(tern)
    server.requests.clear()
    with t.Instance(settings=SETTINGS) as tern:
        tern.add_user("anna")
        tern.add_user("bert")
        tern.start()
        test_mail(tern)
        test_post(tern)
        test_again(tern)
        test_day_ends(tern)
        test_refused(tern)
        peers.check_health(tern)


main()
t.done()
