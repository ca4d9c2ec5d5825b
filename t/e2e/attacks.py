"""What test_hijacked.py and test_hijacked_imapd.py have in common: how an attack is made, what must come of those that
any daemon's attacker can try (hijacked.c), and that nobody else notices."""

import re
import subprocess

import tern_test as t

REFUSALS = {"EPERM", "EACCES", "ENOSYS"}


def once(begin, words):
    """An attack in a session of its own, begun when a process serves; None if the process ended over it."""
    def greeted():
        try:
            return begin()
        except (OSError, EOFError):
            return None
    hijacked = t.wait_for(greeted, 30)
    if not hijacked:
        return None
    with hijacked:
        return hijacked.attack(*words)


def others(tern, names):
    """The processes that are not of these services."""
    return {(name, pid) for name, pid in tern.pids() if name not in names}


class Unharmed:
    """That the others go on after what stands in the block. works(): whether their work gets done, and why not."""

    def __init__(self, tern, what, own, works):
        self.tern, self.what, self.own, self.works = tern, what, own, works

    def __enter__(self):
        self.before = others(self.tern, self.own)

    def __exit__(self, *_):
        good, name, detail = self.works()
        t.ok(good, f"{self.what}: {name}", detail)
        t.is_(self.before - others(self.tern, self.own), set(), f"{self.what}: no other process ended")


def memory_has(pid, needle):
    """Whether a process has the bytes anywhere in its memory."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            fields = line.split()
            begin, end = (int(part, 16) for part in fields[0].split("-"))
            if "r" not in fields[1] or fields[-1] in ("[vvar]", "[vsyscall]", "[vvar_vclock]") or end - begin > 1 << 32:
                continue
            try:
                memory.seek(begin)
                if needle in memory.read(end - begin):
                    return True
            except (OSError, ValueError, OverflowError):
                pass
    return False


def key_numbers(key):
    """The secret numbers of a private key in PEM, {name: octets}, high octets first."""
    text = subprocess.run(["openssl", "pkey", "-noout", "-text"], input=key, capture_output=True, text=True, check=True).stdout
    numbers = re.findall(r"^(priv|privateExponent|prime1|prime2):\n((?: +[0-9a-f:]+\n)+)", text, re.M)
    return {name: bytes.fromhex("".join(digits.split()).replace(":", "")).lstrip(b"\0") for name, digits in numbers}


def key_forms(number):
    """A number as libraries hold it: high octets first, and low ones first; in pieces of their own perhaps, but never of
    less than so many octets in a row."""
    return (("", number[:24]), (" turned round", number[::-1][:24]))


def system_calls(attack, victim, program, allowed=()):
    """attack(*words): an attack. {call: outcome} of all that were tried, none of which may get through but those allowed."""
    outcomes = dict(line.split() for line in attack("calls", victim) or [])
    t.ok(len(outcomes) > 60, "the calls were tried", outcomes)
    through = {name: outcome for name, outcome in outcomes.items() if outcome not in REFUSALS | {"deadly"} and name not in allowed}
    t.is_(through, {}, f"no call that {program} has no business with gets through")
    return outcomes


def is_refused(answer):
    """Of a single call: the process ended over it, or it failed."""
    return not answer or answer[0].split()[-1] in REFUSALS


def connections(attack, refused, made):
    """To which services master connects it."""
    for name in refused:
        answer = attack("connect", name) or ["nothing"]
        t.ok(answer[0].startswith("refused"), f"master does not connect it to {name}", answer)
    for name in made:
        t.is_(attack("connect", name), ["connected"], f"it does to {name}")


def descriptors(attack, directory):
    """What it has open: no file that can be read, and no directory but, where there is one, its own empty one."""
    lines = attack("descriptors") or []
    t.ok(len(lines) > 3, "it has descriptors", lines)
    if directory:
        t.is_([line for line in lines if line.startswith("directory") and not line.endswith("empty")][1:], [], "no directory but its empty one")
    t.is_([line for line in lines if line.endswith("readable")], [], "no file that can be read among them")


def every_type(attack, service):
    lines = attack("types", service) or []
    t.ok(len(lines) == 2 and "noise answered 0 refused 0" in lines[1], f"{service}: noise loses the connection", lines)
    print(f"# {service}: {lines}")
