"""Rules about chains."""

from __future__ import annotations

from .case import Example

EXAMPLES = [
    Example(
        "CHAIN-01",
        "linkage-of-another-parent",
        "error",
        "no parent that fits: relative_path: {folder}/base.vhdx: found base.vhdx, but it was "
        "changed after the child was made, or is another disk: DataWriteGuid "
        "da7a0000-2222-4222-8222-0123456789ab, expected "
        "00000000-0000-0000-0000-000000000063 [CHAIN-01]; volume_path "
        "'\\\\\\\\?\\\\Volume{0f5c3e2a-0000-0000-0000-100000000000}\\\\images\\\\base.vhdx': "
        "a path of Windows, which means nothing on this system; "
        "absolute_win32_path 'C:\\\\images\\\\base.vhdx': a path of "
        "Windows, which means nothing on this system (--parent PATH names another one, "
        "--search DIR looks in a folder, for other names, too, --ignore-linkage takes this one "
        "all the same, to read it)",
    ),
    Example(
        "CHAIN-02",
        "other-sector-size",
        "error",
        "LogicalSectorSize 512, expected 4096 as in its child",
    ),
    Example(
        "CHAIN-04",
        "child-larger-than-parent",
        "note",
        "VirtualDiskSize 3146240 bytes, expected 6291456 as in its child; past its end are zeros",
    ),
    Example(
        "CHAIN-05",
        "other-disk-id",
        "note",
        "VirtualDiskId 00000000-0000-0000-0000-000000000001, expected "
        "00000000-0000-0000-0000-000000000002 as in its child",
    ),
    Example(
        "CHAIN-06",
        "child-is-its-own-parent",
        "error",
        "is in the chain already, expected no cycle",
    ),
    Example(
        "CHAIN-07",
        "paths-lead-out",
        "note",
        "volume_path "
        "'\\\\\\\\?\\\\Volume{0f5c3e2a-0000-0000-0000-100000000000}\\\\images\\\\base.vhdx' "
        "was not followed: it is a path of Windows, which means nothing on this system",
    ),
    Example(
        "CHAIN-10",
        "parent-missing",
        "error",
        "no parent found, wanted DataWriteGuid da7a0000-2222-4222-8222-0123456789ab: "
        "relative_path: {folder}/base.vhdx: no such file; "
        "volume_path "
        "'\\\\\\\\?\\\\Volume{0f5c3e2a-0000-0000-0000-100000000000}\\\\images\\\\base.vhdx': "
        "a path of Windows, which means nothing on this system; "
        "absolute_win32_path 'C:\\\\images\\\\base.vhdx': a path of "
        "Windows, which means nothing on this system (--parent PATH names it outright, "
        "--search DIR looks in a folder, for other names, too)",
    ),
]
