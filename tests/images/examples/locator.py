"""Rules about the parent locator."""

from __future__ import annotations

from .case import Example

EXAMPLES = [
    Example(
        "LOC-01",
        "locator-cut-in-its-table",
        "error",
        "length 73 bytes, expected 80 for 5 keys",
    ),
    Example(
        "LOC-02",
        "locator-type-unknown",
        "error",
        "LocatorType 07be0000-cccc-4ccc-8ccc-0123456789ab, expected "
        "b04aefb7-d19e-4a81-b789-25b8e9445913",
    ),
    Example(
        "LOC-03",
        "locator-reserved-not-zero",
        "warning",
        "Reserved 0x1, expected 0",
    ),
    Example(
        "LOC-04",
        "locator-without-entries",
        "error",
        "KeyValueCount 0, expected at least 1",
    ),
    Example(
        "LOC-05",
        "locator-key-offset-0",
        "error",
        "KeyOffset 0, expected more than 0",
        besides=("LOC-09",),
    ),
    Example(
        "LOC-06",
        "locator-value-offset-0",
        "error",
        "ValueOffset 0, expected more than 0",
        besides=("LOC-09",),
    ),
    Example(
        "LOC-07",
        "locator-key-empty",
        "error",
        "KeyLength 0, expected more than 0",
    ),
    Example(
        "LOC-08",
        "locator-value-empty",
        "error",
        "ValueLength 0, expected more than 0",
    ),
    Example(
        "LOC-09",
        "locator-value-past-the-item",
        "error",
        "Value 0x10000 to 0x1001a, expected inside 0x50 to 0x242",
    ),
    Example(
        "LOC-10",
        "locator-value-length-odd",
        "error",
        "ValueLength 7, expected even",
    ),
    Example(
        "LOC-11",
        "locator-value-with-nul",
        "error",
        "value holds a NUL, expected none",
    ),
    Example(
        "LOC-12",
        "locator-key-twice",
        "error",
        "key 'relative_path' a second time, expected each only once",
    ),
    Example(
        "LOC-13",
        "locator-without-linkage",
        "error",
        "no key parent_linkage, expected one",
    ),
    Example(
        "LOC-14",
        "locator-with-a-second-linkage",
        "note",
        "key parent_linkage2 is there; Windows writes it",
    ),
    Example(
        "LOC-15",
        "locator-linkage-no-guid",
        "error",
        "parent_linkage '{parent}', expected a GUID in braces",
    ),
    Example(
        "LOC-16",
        "locator-without-paths",
        "error",
        "no path, expected one of relative_path, volume_path, absolute_win32_path",
    ),
    Example(
        "LOC-18",
        "locator-relative-path-absolute",
        "warning",
        "relative_path 'C:\\\\images\\\\parent.vhdx', expected a path relative to "
        "the folder of the file",
    ),
    Example(
        "LOC-19",
        "locator-volume-path-other-form",
        "warning",
        "volume_path 'D:\\\\images\\\\parent.vhdx', expected \\\\?\\Volume{GUID}\\...",
    ),
    Example(
        "LOC-20",
        "locator-absolute-path-without-prefix",
        "note",
        "absolute_win32_path 'C:\\\\images\\\\parent.vhdx', expected \\\\?\\ at its start",
    ),
    Example(
        "LOC-21",
        "relative-path-stale",
        "note",
        "relative_path '.\\\\old\\\\moved.vhdx', expected a path to the parent in use",
        besides=("CHAIN-07",),
    ),
    Example(
        "LOC-22",
        "locator-key-unknown",
        "note",
        "unknown key 'colour', which is ignored",
    ),
    Example(
        "LOC-23",
        "locator-linkage-zero",
        "warning",
        "parent_linkage is zero, which matches no parent",
    ),
    Example(
        "LOC-24",
        "locator-key-in-capitals",
        "note",
        "key 'RELATIVE_PATH', expected lower case",
        besides=("LOC-22",),
    ),
]
