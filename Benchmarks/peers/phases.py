"""What a program is doing, since when, and for how long at the most."""

import contextlib
import faulthandler
import signal
import sys
import time

START = time.monotonic()


class OutOfTime(Exception):
    pass


def put(text: str) -> None:
    """A line of the log, with the seconds since the program began."""
    print(f"[{time.monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def phase(name: str, limit: float):
    """Logs when it begins and ends. After `limit` seconds the log gets the places where all threads are, and this one meets `OutOfTime`.

    The exception is raised between two instructions of Python: a call into a library that does not come back is left to whoever
    started the program.
    """
    put(f"{name} ...")
    start = time.monotonic()

    def stop(*_):
        raise OutOfTime(f"{name}: not done in {limit:g} s")

    faulthandler.dump_traceback_later(limit, file=sys.__stderr__)
    before = signal.signal(signal.SIGALRM, stop)
    # Later than the log, which says where the program was.
    signal.setitimer(signal.ITIMER_REAL, limit + 0.2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
    put(f"{name}: {time.monotonic() - start:.1f} s")
