"""An S3-compatible server on loopback, which Ray's workers reach as well, and buckets on it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from moto.server import ThreadedMotoServer

SECRET = "a-secret-key-of-the-environment"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "a-key-id",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What every process needs that reads or writes there."""


@contextmanager
def serving() -> Iterator[str]:
    """Host and port of a server, for the time of the block."""
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    try:
        yield f"{host}:{port}"
    finally:
        started.stop()


def new_bucket(server: str, path: str) -> str:
    """URI of a path in a bucket of its own."""
    bucket = f"bucket-{secrets.token_hex(8)}"
    httpx.put(f"http://{server}/{bucket}").raise_for_status()
    return f"s3://{bucket}/{path}?scheme=http&region=us-east-1&endpoint_override={server}"


def keys(server: str, uri: str) -> list[str]:
    """Objects of the URI's bucket, without the empty ones that stand for folders."""
    bucket, after, found = uri.removeprefix("s3://").partition("/")[0], "", []
    while True:
        asked = {"list-type": "2", "start-after": after}
        listed = httpx.get(f"http://{server}/{bucket}", params=asked).text
        page = [part.partition("</Key>")[0] for part in listed.split("<Key>")[1:]]
        found += page
        if "<IsTruncated>true" not in listed:
            return [key for key in found if not key.endswith("/")]
        after = page[-1]
