"""What `info` has to say of an image, as its model knows it."""

from __future__ import annotations

from typing import Any

from tests.images.image import Built


def without_our_words(document: dict[str, Any]) -> dict[str, Any]:
    """Return an `info` document without what a model of the bytes cannot know: names, reasons."""
    about_us = ("schema_version", "tool", "path", "losses")
    ours = {key: value for key, value in document.items() if key not in about_us}
    ours["headers"] = [dict(header, reason=None) for header in ours["headers"]]
    for header in ours["headers"]:
        del header["reason"]
        if header["sequence_number"] is None:
            ours["headers"][header["copy"] - 1] = {"copy": header["copy"], "valid": False}
    ours["log"] = {key: value for key, value in ours["log"].items() if key != "changed_bytes"}
    ours["bat"] = {key: value for key, value in ours["bat"].items() if key != "bytes"}
    for name in ("regions", "metadata"):
        ours[name] = [dict(entry) for entry in ours[name]]
        for entry in ours[name]:
            del entry["name"]
    if ours["parent"] is not None:
        ours["parent"] = {key: ours["parent"][key] for key in ("locator_type", "entries")}
    return ours


def expected_info(built: Built, *, allocation: bool = False) -> dict[str, Any]:
    """Return what the model says; a header without its signature has no fields."""
    info = built.model.info(allocation=allocation)
    for index, header in enumerate(built.layout.headers):
        if header.signature != b"head":
            info["headers"][index] = {"copy": index + 1, "valid": False}
    creator = built.layout.identifier.creator
    if isinstance(creator, bytes):  # half a surrogate pair is kept, the model replaces it
        info["creator"] = creator.decode("utf-16-le", "surrogatepass").partition("\0")[0]
    return info
