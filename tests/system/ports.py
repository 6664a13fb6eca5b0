"""Ports that are a test's own."""

import contextlib
import socket


@contextlib.contextmanager
def reserved_port(port=0):
    """A port (any, or this one) at which nobody listens, and which the kernel gives to nobody else meanwhile.

    A server may still come to listen there: servers bind with SO_REUSEADDR.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        yield holder.getsockname()[1]
