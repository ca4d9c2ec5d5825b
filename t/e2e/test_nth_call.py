#!/usr/bin/env python3
"""The n-th system call made to fail, in every daemon on a message's way: one call at a
time gets an error that a kernel in trouble gives (no memory, no descriptors, no room,
a bad disk). After each: what was acknowledged arrives, unaltered; no bounce for what is
a local fault, no 5xx to the client; the daemons run or run again by themselves; and the
log says what happened.

In ./check it takes about half a minute: each place in the code that makes a system call
fails at least once, in an order that the seed decides (printed; TERN_NTH_SEED repeats
it), as far as the time goes (TERN_NTH_SECONDS). make nth-call, or --full, takes it
literally: for n = 1, 2, 3 ... the n-th call of each daemon, until a run meets none, and
the same for the start of each. Arguments: daemons to take instead of all.
TERN_NTH_COUNT lets so many calls in a row fail instead of one."""

import hashlib
import itertools
import os
import random
import re
import signal
import smtplib
import ssl
import sys
import threading
import time

import fault_page
import tern_test as t
from fault_page import RUNNING, STARTING

t.need("tern", *t.DAEMONS)
fault_page.need()

FULL = "--full" in sys.argv[1:]
PROCESSES = [word for word in sys.argv[1:] if not word.startswith("-")] or [
    "smtpd", "cleanup", "lookup", "qmgr", "local", "local-child", "smtp", "bounce", "keys"]
SEED = int(os.environ.get("TERN_NTH_SEED") or random.SystemRandom().randrange(1000000))
SECONDS = float(os.environ.get("TERN_NTH_SECONDS") or 20)
RIGS = int(os.environ.get("TERN_NTH_RIGS") or (5 if FULL else 3))
COUNT = int(os.environ.get("TERN_NTH_COUNT") or 1)
RECOVERY = 10.0
SETTINGS = ["minimal_backoff_time=1s", "maximal_backoff_time=1s", "queue_run_delay=1s", "transport_retry_time=1s",
            "service_throttle_time=1s", "smtp_host_lookup=native", "disable_dns_lookups=yes", "myorigin=$mydomain",
            "smtp_connect_timeout=5s", "mydestination=hub.test", "alias_maps=inline:{ team=list@sink.test }",
            "default_destination_concurrency_failed_cohort_limit=50", "notify_classes=2bounce,resource,software"]
KINDS = {"box": "anna@example.test", "remote": "remote-{}@sink.test", "refused": "no-{}@sink.test",
         "later": "later-{}@sink.test", "list": "team@hub.test"}
NO_CHECK = ssl._create_unverified_context()
TOKEN = re.compile(rb"^X-Token: (\w+)-(\w+) ([0-9a-f]{64})\n", re.M)
ORDINARY = "450 4.2.1 later"
TOLD = re.compile(r" (?:warning|error|fatal): |: reject: |status=deferred|lost connection|made anew")
DIED = re.compile(r"process \S*/(\S+) pid \d+ ((?:exit status|killed by|ended by).*)")


# Failures that may pass in silence, since nothing is amiss after them: (call, function), "" for any.
QUIET = {
    ("close", ""),        # of what was only read, or is synced: the descriptor is gone all the same
    ("madvise", ""), ("setsockopt", ""), ("getsockopt", ""),  # the kernel refuses an optimisation or a nicety
    ("getsockname", ""), ("getpeername", ""),
    ("recv", "plain_read"),               # a look whether a client talks too early, or on after its end
    ("setrlimit", "set_limit"),           # a limit that cannot be raised is lowered to what may be had
    ("pthread_create", "start_thread"),   # without a helper the loop's own thread makes the call
    ("setresuid", "become_user"),         # the attempt to become root again: it is meant to fail
    ("socket", "has_ipv6"), ("bind", "has_ipv6"),  # taken for yes
    ("fstat", "has_second_name"),         # taken for yes
    ("stat", "table_stamp_of"),           # asked again within a second
    ("fsync", "write_state_in"), ("write", "write_state_in"), ("renameat", "write_state_in"),
    ("openat", "write_state_in"), ("open", "open_folder"),  # the schedule index is made anew
    ("openat", "is_fresh"), ("read", "is_fresh"),
    ("fstat", "is_due"), *((call, "maildir_sweep") for call in ("openat", "fdopendir", "readdir", "fstatat", "unlinkat")),  # another day
    ("mmap", "map_stack"), ("mprotect", "map_stack"),  # a task that is done without: who would start it says what for
}


def quiet(call, function):
    return (call, "") in QUIET or (call, function) in QUIET


class Fault:
    """What was to fail in one run, and did."""

    def __init__(self, process, call="", site=0, first=1, scope=RUNNING, variant=0):
        self.process, self.call, self.site = process, call, site
        self.first, self.scope, self.variant = first, scope, variant
        self.met, self.met_call, self.met_site, self.error = 0, "", 0, 0
        self.notes = []
        self.when = ""

    def name(self):
        place = PLACES.name(self.process, self.met_site) if self.met else "not met"
        error = f", {os.strerror(self.error)}" if self.met else ""
        start = "at its start, " if self.scope == STARTING else ""
        return f"{self.when} {self.process}: {start}{self.met_call or self.call} in {place}, number {self.first}{error}"


PLACES = fault_page.Places()


class Rig:
    """An instance with its page and sink, the messages that were sent, and what has become of them."""

    numbers = itertools.count(1)

    def __init__(self):
        self.refused_once = set()
        self.sink = t.Sink(self.answer)
        self.tern = t.Instance(settings=SETTINGS)
        self.tern.set(f"relayhost = [127.0.0.1]:{self.sink.port}")
        self.tern.set("virtual_alias_maps = inline:{ postmaster@example.test=carl@example.test }")
        for user in ("anna", "carl"):
            self.tern.add_user(user)
        chain = t.make_chain(self.tern.top / "chain.pem")
        self.tern.set(f"smtpd_tls_chain_files = {chain}")
        self.tern.set("smtpd_tls_security_level = may")
        self.page = fault_page.Page(self.tern)
        self.tern.start()
        self.services = {name for name, _ in self.tern.pids()}
        self.master = self.tern.pid_of("master") or 0
        self.sent = {}          # (run, kind): Fault
        self.arrived = {}       # (run, kind): copies
        self.wrong = []         # what must not be
        self.seen_files, self.seen_messages = set(), 0
        self.faults = []
        self.log_at = 0
        self.busy = threading.Lock()

    def answer(self, stage, address):
        if stage == "rcpt" and address.startswith("no-"):
            return "550 5.1.1 no such one"
        if stage == "rcpt" and address.startswith("later-") and address not in self.refused_once:
            self.refused_once.add(address)
            return "450 4.2.1 later"
        return None

    # ---- sending

    def message(self, run, kind):
        rng = random.Random(f"{run} {kind}")
        body = bytes(rng.choice(b"abcdef \n.") for _ in range(rng.choice((100, 3000, 40000)))) + b"end\n"
        digest = hashlib.sha256(body).hexdigest()
        return f"Subject: {run} {kind}\nX-Token: {run}-{kind} {digest}\n\n".encode() + body

    def begin(self):
        """A session, with TLS if it is to be had."""
        session = self.tern.smtp(timeout=15)
        session.ehlo()
        if session.has_extn("starttls"):
            session.starttls(context=NO_CHECK)
        return session

    def send_one(self, session, run, kind, fault):
        """Sends a message; the session, or None when it was lost."""
        address = KINDS[kind].format(run)
        try:
            session = session or self.begin()
            session.sendmail("carl@example.test", address, t.wire(self.message(run, kind)))
            self.sent[(run, kind)] = fault
            return session
        except smtplib.SMTPRecipientsRefused as problem:
            codes = [code for code, _ in problem.recipients.values()]
        except smtplib.SMTPResponseException as problem:
            codes = [problem.smtp_code]
        except (OSError, smtplib.SMTPException):
            return None  # lost without an answer, or no answer at all: nothing was promised
        if not all(400 <= code < 500 for code in codes):
            self.say(f"the client got {codes} ({fault.name()})")
        return session if codes != [421] else None

    def send(self, fault):
        run = f"R{next(Rig.numbers)}"
        session = None
        for kind in KINDS:
            session = self.send_one(session, run, kind, fault)
        if session:
            try:
                session.quit()
            except (OSError, smtplib.SMTPException):
                pass
        return run

    # ---- looking

    def say(self, what):
        """What must not be."""
        if what not in self.wrong:
            print(f"# {what}", flush=True)
            self.wrong.append(what)

    def judge(self, raw, place):
        found = TOKEN.search(raw)
        if not found:
            self.say(f"a message that nobody sent, in {place}: {raw[:300]!r}")
            return
        key = (found[1].decode(), found[2].decode())
        if b"\nContent-Type: message/delivery-status" in raw:
            if key[1] != "refused":
                fault = self.sent.get(key)
                self.say(f"a bounce for {key} ({fault.name() if fault else 'not acknowledged'})")
                return
        else:
            body = raw[raw.index(b"\n\n", found.end() - 1) + 2:]
            if hashlib.sha256(body).hexdigest() != found[3].decode():
                self.say(f"{key} was altered on its way to {place}")
            if key[1] == "refused":
                self.say(f"{key} arrived")
        self.arrived[key] = self.arrived.get(key, 0) + 1

    def look(self):
        for user in ("anna", "carl"):
            for path in self.tern.mailbox(user):
                if path not in self.seen_files:
                    self.seen_files.add(path)
                    self.judge(path.read_bytes(), user)
        for _, _, content in self.sink.messages[self.seen_messages:]:
            self.seen_messages += 1
            self.judge(content, "the sink")

    def missing(self, run=None, kinds=tuple(KINDS)):
        self.look()
        return [key for key in self.sent if key not in self.arrived and key[1] in kinds and run in (None, key[0])]

    def new_log(self):
        """What was added to the log since the last call."""
        with open(self.tern.log_file, "rb") as file:
            file.seek(self.log_at)
            added = file.read()
        self.log_at += added.rfind(b"\n") + 1
        return added.decode(errors="replace")

    def log_of(self, words):
        return [line for line in self.tern.log().splitlines() if any(word in line for word in words)]

    def pids_named(self, name):
        wanted = name.replace("-child", "-worker")
        top, found = str(self.tern.libexec), []
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/comm") as file:
                    if file.read().strip() == wanted and os.readlink(f"/proc/{entry}/exe").startswith(top):
                        found.append(int(entry))
            except OSError:
                pass
        return found

    # ---- a run

    def arm(self, fault):
        fault.when = time.strftime("%H:%M:%S")
        self.page.arm(fault.process, fault.call, fault.site, fault.first, COUNT, fault.scope, fault.variant)
        if fault.scope == STARTING:
            for pid in self.pids_named(fault.process):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def take_result(self, fault):
        fault.met, fault.met_call = self.page.met, self.page.met_call
        fault.met_site, fault.error = self.page.met_site, self.page.met_error
        self.faults.append(fault)
        PLACES.learn([fault_page.Site(fault.process, fault.met_call, fault.met_site, 0, 0)] if fault.met else [])

    def is_told(self, fault, log):
        """True if a line says what happened, by the error's words or by what came of it."""
        words = os.strerror(fault.error)
        lines = [line for line in log.splitlines() if ORDINARY not in line and "killed by signal 9" not in line]
        fault.notes = [line for line in lines if words in line] or [line for line in lines if TOLD.search(line)]
        return bool(fault.notes)

    def run(self, fault, settle):
        """Arms, sends, waits until the call has failed and, for at most settle seconds, until all is delivered."""
        self.new_log()
        self.arm(fault)
        run = self.send(fault)
        t.wait_for(lambda: self.page.met or not self.missing(run), 3 if fault.scope == STARTING else 2, 0.01)
        t.wait_for(lambda: not self.missing(run, ("box", "remote", "refused", "list")), settle, 0.01)
        self.take_result(fault)
        log = ""
        if fault.met and not quiet(fault.met_call, PLACES.function(fault.process, fault.met_site)):
            def told():
                nonlocal log
                log += self.new_log()
                return self.is_told(fault, log)
            if not t.wait_for(told, 1.5, 0.02):
                self.say(f"nothing in the log after {fault.name()}")
        else:
            log += self.new_log()
        for name, what in DIED.findall(log):
            fault.notes.append(f"died: {name} {what}")
        return run

    def settle(self, seconds, flush=False):
        """Waits until everything has arrived and the queue is empty."""
        def is_settled():
            return not self.missing() and not self.tern.queued("tmp", "new", "cur", "hold")
        end = time.monotonic() + seconds
        while not t.wait_for(is_settled, 0.7 if flush else seconds):
            if time.monotonic() > end:
                return False
            self.tern.queue_tool("ternqueue", "-f")
        return True

    # ---- the verdict

    def finish(self, name):
        self.page.disarm()
        self.settle(30)
        lost = [f"{key}: {self.sent[key].name()}" for key in self.missing()]
        t.ok(not lost, f"{name}: nothing acknowledged is lost", "\n".join(lost[:20]))
        t.ok(not self.wrong, f"{name}: nothing altered, bounced, refused for good, or left unsaid",
             "\n".join(self.wrong[:60]))
        left = [(folder, queue_id) for folder in ("tmp", "new", "cur", "hold", "corrupt")
                for queue_id in self.tern.queued(folder)]
        t.ok(not left, f"{name}: the queue is empty",
             "\n".join(map(str, left[:10] + self.log_of([queue_id for _, queue_id in left]))))
        folder = self.tern.mail / "example.test" / "anna" / "Maildir" / "tmp"
        pieces = os.listdir(folder)
        t.ok(not pieces, f"{name}: no pieces are left in the mailbox", pieces[:10])
        missing = t.wait_for(lambda: self.services <= {name for name, _ in self.tern.pids()}, RECOVERY)
        t.ok(missing, f"{name}: every daemon runs", self.services - {name for name, _ in self.tern.pids()})
        t.is_(self.tern.pid_of("master") or 0, self.master, f"{name}: master is the one that was started")
        crashes = [f"{note}: {fault.name()}" for fault in self.faults for note in fault.notes
                   if note.startswith("died: ") and "signal" in note and "signal 9;" not in note]
        t.ok(not crashes, f"{name}: no daemon was killed by a signal", "\n".join(crashes[:20]))

    def close(self):
        self.tern.close()
        self.sink.close()


# ---- the short form: each place once, as far as the time goes

def take_census(rig):
    """Some runs without a failure, and each daemon started anew: where calls are made, and how often."""
    rig.send(Fault(""))  # who is started on demand, is started
    rig.settle(10)
    rig.page.arm()
    for _ in range(2):
        rig.send(Fault(""))
        rig.settle(10)
    rig.page.arm()
    for process in PROCESSES:
        for pid in rig.pids_named(process):
            os.kill(pid, signal.SIGKILL)
    rig.send(Fault(""))
    rig.settle(20)
    return rig.page.census()


def plan_short(sites, rng):
    """The first call of each place; then, for places that make many, one of the others."""
    first, later = [], []
    at_work = {(site.process, site.call, site.site) for site in sites if site.scope == RUNNING}
    for site in sites:
        if site.process not in PROCESSES or (site.scope == STARTING and site[:3] in at_work):
            continue
        first.append(Fault(site.process, site.call, site.site, 1, site.scope, rng.randrange(2)))
        if site.scope == RUNNING and site.count > 2:
            number = rng.randrange(2, 2 + min(site.count // 2, 12))
            later.append(Fault(site.process, site.call, site.site, number, RUNNING, rng.randrange(2)))
    rng.shuffle(first)
    rng.shuffle(later)
    first.sort(key=lambda fault: fault.scope == STARTING)
    return first + later


def work(rig, plan, lock, end):
    while time.monotonic() < end:
        with lock:
            if not plan:
                return
            fault = plan.pop(0)
        rig.run(fault, 0.4)
        if fault.scope == STARTING:
            t.wait_for(lambda: rig.pids_named(fault.process), RECOVERY)


def short():
    rng = random.Random(SEED)
    rigs = [Rig() for _ in range(RIGS)]
    try:
        sites = take_census(rigs[0])
        PLACES.learn(sites)
        plan = plan_short(sites, rng)
        total, lock, end = len(plan), threading.Lock(), time.monotonic() + SECONDS
        threads = [threading.Thread(target=work, args=(rig, plan, lock, end)) for rig in rigs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"# {len(sites)} places, {total - len(plan)} of {total} failures tried")
        for number, rig in enumerate(rigs):
            rig.finish(f"instance {number + 1}")
        tell(rigs)
    finally:
        for rig in rigs:
            rig.close()


# ---- the full form

def full_process(rig, process, scope):
    """n = 1, 2, 3 ... until two runs meet none. How many failures were met."""
    unmet = met = 0
    for n in itertools.count(1):
        fault = Fault(process, first=n, scope=scope, variant=n % 2)
        rig.run(fault, 0.5)
        if scope == STARTING:
            t.wait_for(lambda: rig.pids_named(process), RECOVERY)
        rig.page.disarm()
        if not rig.settle(40, flush=True):
            rig.say(f"not all is delivered 40 s after {fault.name()}: {rig.missing()[:4]}, "
                             f"{rig.tern.queued('tmp', 'new', 'cur', 'hold', 'corrupt')[:4]}")
        met += fault.met
        unmet = 0 if fault.met else unmet + 1
        if unmet == 2:
            return met


def full_work(jobs, lock, results):
    while True:
        with lock:
            if not jobs:
                return
            process, scope = jobs.pop(0)
            rig = Rig()
        rig.send(Fault(""))  # so that whoever is started for mail runs
        rig.settle(10)
        begin = time.monotonic()
        met = full_process(rig, process, scope)
        print(f"# {process}{' at its start' if scope == STARTING else ''}: {met} calls failed, "
              f"{time.monotonic() - begin:.0f} s", flush=True)
        results.append((rig, f"{process}{' at its start' if scope == STARTING else ''}"))


def full():
    jobs = [(process, scope) for process in PROCESSES for scope in (RUNNING, STARTING)]
    lock, results = threading.Lock(), []
    threads = [threading.Thread(target=full_work, args=(jobs, lock, results)) for _ in range(RIGS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.is_(len(results), len(PROCESSES) * 2, "every daemon was taken to its end")
    for rig, name in results:
        rig.finish(name)
    tell([rig for rig, _ in results])
    for rig, _ in results:
        rig.close()


# ---- what is told beside

def tell(rigs):
    faults = [fault for rig in rigs for fault in rig.faults]
    for process in PROCESSES:
        running = [fault for fault in faults if fault.process == process and fault.met and fault.scope == RUNNING]
        starting = [fault for fault in faults if fault.process == process and fault.met and fault.scope == STARTING]
        print(f"# {process}: {len(running)} failures at work, in {len({f.met_site for f in running})} places; "
              f"{len(starting)} at its start, in {len({f.met_site for f in starting})}")
    for fault in faults:
        if os.environ.get("TERN_NTH_VERBOSE"):
            print(f"# {fault.name()}")
            for note in fault.notes[:6]:
                print(f"#     {note}")
    for fault in faults:
        for note in fault.notes:
            if note.startswith("died: ") and fault.scope == RUNNING:
                print(f"# {note}: {fault.name()}")
    copies = [(rig.sent.get(key), key, count - 1) for rig in rigs for key, count in rig.arrived.items()]
    at_work = [(fault, key, more) for fault, key, more in copies if fault and fault.scope == RUNNING]
    print(f"# duplicates: {sum(more for *_, more in copies)} of {len(copies)}, of which "
          f"{sum(more for *_, more in at_work)} of {len(at_work)} without a kill")
    for fault, key, more in at_work:
        if more and os.environ.get("TERN_NTH_VERBOSE"):
            print(f"# {more} duplicates of {key}: {fault.name()}")
    t.ok(sum(fault.met for fault in faults) > (100 if FULL else 30), "failures were met", len(faults))


print(f"# seed {SEED}", flush=True)
if FULL:
    full()
else:
    short()
t.done()
