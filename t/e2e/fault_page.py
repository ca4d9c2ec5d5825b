"""The page by which a test makes one system call of a daemon fail: t/fault/fault.h.

    page = Page(tern)                   before the instance starts
    page.arm("qmgr", call="openat", first=3)
    ... send a message ...
    page.met                            how many calls were made to fail, and
    page.met_call, page.met_error       which one, with what

A build without --enable-fault-injection does not look at it: need() skips the test."""

import collections
import mmap
import struct
import subprocess

import tern_test as t

RUNNING, STARTING = 1, 2
NAME = "fault-page"

HEAD = struct.Struct("=IIIIQQQ24s24sQIiQ24s")
SITE = struct.Struct("=QQQII24s24s")
SITES = 4096
SIZE = HEAD.size + SITES * SITE.size
GENERATION_AT, ARMED_AT, SCOPE_AT = 4, 0, 8
SETTINGS = struct.Struct("=IIQQQ24s24sQIiQ24s")  # from scope on

Site = collections.namedtuple("Site", "process call site scope count")


def need():
    program = t.program("qmgr")
    if not program or NAME.encode() not in program.read_bytes():
        t.skip_all("built without --enable-fault-injection")


def text(raw):
    return raw.split(b"\0", 1)[0].decode()


class Page:
    def __init__(self, tern):
        path = tern.libexec / NAME
        path.write_bytes(bytes(SIZE))
        path.chmod(0o666)  # a daemon may be another user's
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), SIZE)

    def _put(self, at, value):
        self.memory[at:at + 4] = struct.pack("=I", value)

    def arm(self, process="", call="", site=0, first=1, count=1, scope=RUNNING, variant=0):
        """From now on calls are counted, and the first-th that matches fails, and count - 1 after it. Without
        a process nothing fails."""
        self.disarm()
        self.memory[SCOPE_AT:HEAD.size] = SETTINGS.pack(scope, variant, site, first, count, process.encode(),
                                                        call.encode(), 0, 0, 0, 0, b"")
        generation = struct.unpack_from("=I", self.memory, GENERATION_AT)[0]
        self._put(GENERATION_AT, generation + 1)
        self._put(ARMED_AT, 1)

    def disarm(self):
        self._put(ARMED_AT, 0)

    def _head(self):
        return HEAD.unpack_from(self.memory, 0)

    @property
    def seen(self):
        return self._head()[9]

    @property
    def met(self):
        return self._head()[10]

    @property
    def met_error(self):
        return self._head()[11]

    @property
    def met_site(self):
        return self._head()[12]

    @property
    def met_call(self):
        return text(self._head()[13])

    def census(self):
        """[Site]: the places in the code that have made calls since the page was made."""
        found = []
        for number in range(SITES):
            at = HEAD.size + number * SITE.size
            key, count, site, scope, named, process, call = SITE.unpack_from(self.memory, at)
            if key and named:
                found.append(Site(text(process), text(call), site, scope, count))
        return sorted(found)


class Places:
    """Names for places: "function (file.c:12)"."""

    def __init__(self):
        self.known = {}

    def learn(self, sites):
        by_program = collections.defaultdict(set)
        for process, site in {(s.process, s.site) for s in sites}:
            if (process, site) not in self.known:
                by_program[process].add(site)
        for process, wanted in by_program.items():
            wanted = sorted(wanted)
            program = t.program(process.removesuffix("-child"))
            # The return address is behind the call.
            done = subprocess.run(["addr2line", "-f", "-s", "-e", program, *[hex(site - 1) for site in wanted]],
                                  capture_output=True, text=True)
            found = done.stdout.splitlines()
            for number, site in enumerate(wanted):
                function, line = found[2 * number:2 * number + 2] or ("?", "?")
                self.known[(process, site)] = (function, line.split(" ")[0])

    def function(self, process, site):
        return self.known.get((process, site), ("?", "?"))[0]

    def name(self, process, site):
        function, line = self.known.get((process, site), (hex(site), "?"))
        return f"{function} ({line})"
