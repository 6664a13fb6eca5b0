"""What the demo says: a line for each step, with what came of it and how long it took."""

import contextlib
import sys
import time

WIDTH = 12


class Screen:
    def __init__(self):
        self.live = sys.stdout.isatty()
        self.began = time.monotonic()

    @contextlib.contextmanager
    def step(self, name):
        """A step of the story; the body sets .told to what came of it."""
        step = Step()
        began = time.monotonic()
        if self.live:
            print(f"  {name:<{WIDTH}} ...", end="\r", flush=True)
        yield step
        took = f"{time.monotonic() - began:.1f} s"
        print(f"  {name:<{WIDTH}} {step.told:<58} {took:>7}", flush=True)

    @staticmethod
    def title(text):
        print(f"\n{text}", flush=True)

    @staticmethod
    def fact(name, text):
        print(f"  {name:<{WIDTH}} {text}", flush=True)


class Step:
    told = ""
