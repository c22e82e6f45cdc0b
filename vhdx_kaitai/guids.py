"""The GUIDs of the specification, and names for them.

A GUID is stored with its first three groups little-endian [MS-VHDX 2.2.3.2].
Version and variant bits mean nothing here: QEMU writes its GUIDs in the other
byte order.
"""

from __future__ import annotations

from uuid import UUID

NIL = UUID(int=0)

BAT_REGION = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA_REGION = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")

FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
VIRTUAL_DISK_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
VIRTUAL_DISK_ID = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL_SECTOR_SIZE = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL_SECTOR_SIZE = UUID("cda348c7-445d-4471-9cc9-e9885251c556")
PARENT_LOCATOR = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")

VHDX_PARENT_LOCATOR_TYPE = UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")

# Not in the specification; seen in Microsoft's own code.
CHS_PARAMETERS = UUID("da02d7bc-3d3a-423c-ac88-2a36ab21479b")
INCOMPLETE_FILE = UUID("71cc85f0-1b69-4e28-9558-c3bf83ae75d3")
PMEM_LABEL_STORAGE = UUID("10e1ae8a-4b7e-4169-a40f-cd70de928393")

REGION_NAMES = {BAT_REGION: "BAT", METADATA_REGION: "Metadata"}

ITEM_NAMES = {
    FILE_PARAMETERS: "File Parameters",
    VIRTUAL_DISK_SIZE: "Virtual Disk Size",
    VIRTUAL_DISK_ID: "Virtual Disk ID",
    LOGICAL_SECTOR_SIZE: "Logical Sector Size",
    PHYSICAL_SECTOR_SIZE: "Physical Sector Size",
    PARENT_LOCATOR: "Parent Locator",
}

UNSPECIFIED_ITEM_NAMES = {
    CHS_PARAMETERS: "CHS parameters",
    INCOMPLETE_FILE: "Incomplete file marker",
    PMEM_LABEL_STORAGE: "PMEM label storage",
}
