#!/usr/bin/env python3
"""ternconf: listings, edits and messages, on files of its own. TAP.

TERN_BUILD names the build directory (default "."), where ctl/ternconf is."""

import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

TERNCONF = os.path.join(os.path.abspath(os.environ.get("TERN_BUILD", ".")), "ctl", "ternconf")

MAIN = """# head
myhostname = mail.example.com
smtpd_recipient_restrictions = permit_mynetworks,
    # within
    reject_unauth_destination
mydestination=$myhostname,   localhost
part = y
myorigin = $part.example.com
"""
MASTER = """smtp      inet  n       -       n       -       -       smtpd -v
  -o smtpd_banner=hi
  -o { syslog_name = a b }
pickup    unix  n       -       y       60      1       pickup
"""

count = 0
failed = 0


def ok(good, name, *details):
    global count, failed
    count += 1
    print(("ok" if good else "not ok"), count, "-", name)
    if not good:
        failed += 1
        for detail in details:
            print("#", repr(detail))


class Files:
    """A configuration directory, and ternconf on it."""

    def __init__(self, directory, main=MAIN, master=MASTER):
        self.main = pathlib.Path(directory, "main.cf")
        self.master = pathlib.Path(directory, "master.cf")
        self.main.write_text(main)
        self.master.write_text(master)
        self.directory = directory

    def run(self, *arguments, environment=None):
        command = [TERNCONF, *arguments] if environment else [TERNCONF, "-c", self.directory, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30,
                              env={**os.environ, **(environment or {})})
        self.errors, self.status = done.stderr, done.returncode
        return done.stdout


def shows(files, name, arguments, wanted):
    found = files.run(*arguments)
    ok(files.status == 0 and found == wanted, name, found, files.errors)


def test_listings(files):
    shows(files, "a named parameter", ["mydestination"], "mydestination = $myhostname, localhost\n")
    shows(files, "-x expands", ["-x", "mydestination", "smtpd_timeout"],
          "mydestination = mail.example.com, localhost\nsmtpd_timeout = 300s\n")
    shows(files, "-h and -H", ["-h", "myhostname"], "mail.example.com\n")
    shows(files, "-H", ["-H", "myhostname"], "myhostname\n")
    shows(files, "-d gives the default", ["-d", "smtpd_recipient_limit"], "smtpd_recipient_limit = 1000\n")
    shows(files, "-o overrides", ["-o", "part=z", "-x", "myorigin"], "myorigin = z.example.com\n")
    shows(files, "-f folds", ["-f", "-d", "import_environment", "smtpd_relay_restrictions"],
          "import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C\n"
          "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,\n    defer_unauth_destination\n")
    lines = files.run("-n").splitlines()
    names = [line.split(" =")[0] for line in lines]
    ok(names == ["config_directory", "mydestination", "myhostname", "myorigin", "part",
                 "smtpd_recipient_restrictions"], "-n lists what is set, sorted", names)
    ok("smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination" in lines,
       "continuations are joined, comments within left out", lines)
    everything = files.run("-d").splitlines()
    ok(len(everything) > 400 and everything == sorted(everything, key=lambda line: line.split(" =")[0]),
       "-d lists all, sorted")
    ok([json.loads(line) for line in files.run("-j", "myhostname", "part").splitlines()] ==
       [{"myhostname": "mail.example.com"}, {"part": "y"}], "-j gives JSON lines")
    shows(files, "-C user", ["-C", "user"], "part = y\n")
    ok(files.run("-a").split() == ["dovecot", "tern"] and files.run("-A").split() == ["cyrus"], "-a and -A list kinds of SASL")
    ok(files.run("-T", "run-version").startswith("OpenSSL 3") and files.run("-T", "compile-version").startswith("OpenSSL 3"),
       "-T names the TLS library")
    ok("rsa" in files.run("-T", "public-key-algorithms").split(), "-T lists algorithms of keys")
    files.run("-T", "weather")
    ok(files.status == 1 and "weather" in files.errors, "-T has no other mode", files.errors)
    files.run("-l")
    ok("lmdb" in files.run("-m").split(), "-m lists table types")
    ok("expanded_failure_text = <<EOF\nThis is the mail system at host mail.example.com.\n" in files.run("-b"),
       "-b expands templates")
    ok("$myhostname" in files.run("-t"), "-t does not")
    ok(files.run("-h", "myhostname", environment={"MAIL_CONFIG": files.directory}) == "mail.example.com\n",
       "MAIL_CONFIG names the directory")


def test_services(files):
    shows(files, "-M", ["-M", "smtp/inet"],
          "smtp       inet  n       -       n       -       -       smtpd -v -o smtpd_banner=hi -o {syslog_name=a b}\n")
    shows(files, "-Mf", ["-Mf", "smtp"], "smtp       inet  n       -       n       -       -       smtpd -v\n"
          "    -o smtpd_banner=hi\n    -o {syslog_name=a b}\n")
    shows(files, "-F", ["-F", "pickup/unix/wakeup", "*/*/chroot"],
          "smtp/inet/chroot = n\npickup/unix/chroot = y\npickup/unix/wakeup = 60\n")
    files.run("-F", "pickup/unix/nosuch")
    ok(files.status == 1 and 'invalid service attribute name: "nosuch"' in files.errors, "-F knows its columns", files.errors)
    shows(files, "-P", ["-P"], "smtp/inet/smtpd_banner = hi\nsmtp/inet/syslog_name = a b\n")
    shows(files, "-PP", ["-PP", "pickup/unix/mail_owner"], "pickup/unix/mail_owner = tern\n")


def test_warnings(files):
    files.main.write_text(MAIN + "smtpd_baner = x\npostscreen_greet_wait = 3s\npart = z\n")
    files.run("-n")
    ok("unused parameter: smtpd_baner=x (line 9; did you mean smtpd_banner?)" in files.errors, "a misspelt name",
       files.errors)
    ok("postscreen_greet_wait is a parameter of Postfix that tern does not use" in files.errors, "a foreign name")
    ok("line 11: overriding earlier entry: part=y" in files.errors, "a repeated name")
    ok(all(line.startswith("ternconf: warning: ") for line in files.errors.splitlines()), "all are warnings")
    files.main.write_text(MAIN + "header_checks = pcre:/x\nslow_destination_rate_delay = 1s\nalways_bcc =\nheader_from_format = standard\n")
    files.master.write_text(MASTER + "slow unix - - n - - smtp\n")
    files.run("-n")
    ok("line 9: header_checks has no effect: tern does not do this yet" in files.errors and
       "line 10: slow_destination_rate_delay has no effect" in files.errors, "what is understood and not done", files.errors)
    ok("always_bcc" not in files.errors and "header_from_format" not in files.errors, "but not where nothing is asked for", files.errors)
    files.main.write_text(MAIN + "smtpd_baner = x\npostscreen_greet_wait = 3s\npart = z\n")
    files.run("-nq")
    ok(files.errors == "", "-q keeps quiet")
    files.run("nosuch")
    ok("nosuch: unknown parameter" in files.errors, "an unknown name")
    files.main.write_text("a = b\nnonsense\n")
    files.run("-n")
    ok(files.status == 1 and "main.cf, line 2: \"nonsense\" has no =" in files.errors, "a malformed file", files.errors)
    files.run("-n", "-d")
    ok(files.status == 1 and "specify one of -d -n" in files.errors, "options that do not go together")
    files.main.write_text(MAIN)
    files.run("-x", "-e", "a=b")
    ok(files.status == 1 and files.main.read_text() == MAIN, "-x shows, it does not edit", files.errors)
    called = os.path.join(files.directory, "postconf")
    os.symlink(TERNCONF, called)
    done = subprocess.run([called, "-c", files.directory, "nosuch"], capture_output=True, text=True, timeout=30)
    ok(done.stderr.startswith("postconf: warning: "), "it says the name that it is called by", done.stderr)


def test_edits(files):
    os.chmod(files.main, 0o640)
    files.run("-e", "part = w", "smtpd_banner=$myhostname ESMTP")
    ok(files.main.read_text() == MAIN.replace("part = y", "part = w") + "smtpd_banner = $myhostname ESMTP\n",
       "-e changes in place and adds at the end", files.main.read_text())
    ok(stat.S_IMODE(files.main.stat().st_mode) == 0o640, "the mode stays")
    ok(sorted(os.listdir(files.directory)) == ["main.cf", "master.cf"], "nothing is left behind")
    files.run("relayhost=[a.example]")
    ok("relayhost = [a.example]\n" in files.main.read_text(), "= alone means -e")
    files.run("-#", "smtpd_recipient_restrictions")
    ok("#smtpd_recipient_restrictions = permit_mynetworks,\n    # within\n#    reject_unauth_destination\n"
       in files.main.read_text(), "-# comments all its lines")
    files.run("-X", "mydestination")
    ok("mydestination" not in files.main.read_text() and "# head" in files.main.read_text(), "-X removes")
    files.run("-e", "x")
    ok(files.status == 1, "-e without =")


def test_service_edits(files):
    files.run("-M", "slow/unix=slow unix - - n - 2 smtp -o a=b")
    ok(files.master.read_text() == MASTER + "slow       unix  -       -       n       -       2       smtp\n    -o a=b\n",
       "-M adds a row, the others stay", files.master.read_text())
    files.run("-F", "pickup/unix/wakeup=30")
    ok(files.run("-Fh", "pickup/unix/wakeup") == "30\n", "-F edits a field")
    files.run("-P", "smtp/inet/smtpd_banner=two words")
    ok(files.run("-P", "smtp/inet/smtpd_banner") == "smtp/inet/smtpd_banner = two words\n", "-P edits an override")
    files.run("-PX", "smtp/inet/syslog_name")
    ok("syslog_name" not in files.master.read_text(), "-PX removes one")
    files.run("-M#", "pickup/unix")
    ok("\n#pickup" in files.master.read_text(), "-M# comments a row")
    files.run("-MX", "slow/unix")
    ok("slow" not in files.master.read_text(), "-MX removes a row")
    files.run("-F", "smtp/inet/chroot=maybe")
    ok(files.status == 1 and "in the column chroot" in files.errors, "a wrong field is refused", files.errors)


def test_init(files):
    """tern init --set replaces a parameter with all lines of its default."""
    tern = os.path.join(os.path.dirname(TERNCONF), "tern")
    top = os.path.join(files.directory, "private")
    os.chmod(files.directory, 0o755) # its accounts are others'
    made = subprocess.run([tern, "init", top, "--set", "virtual_mailbox_maps=inline:{a@b=c/}"], capture_output=True,
                          text=True, timeout=30)
    ok(made.returncode == 0, "tern init --set", made.stderr)
    shown = subprocess.run([TERNCONF, "-c", top + "/etc", "-h", "virtual_mailbox_maps", "virtual_mailbox_base"],
                           capture_output=True, text=True, timeout=30).stdout
    ok(shown.splitlines() == ["inline:{a@b=c/}", top + "/mail"], "a default of two lines goes, its neighbour stays",
       shown)


for test in (test_listings, test_services, test_warnings, test_edits, test_service_edits, test_init):
    with tempfile.TemporaryDirectory(prefix="ternconf-") as place:
        test(Files(place))
print(f"1..{count}")
sys.exit(1 if failed else 0)
