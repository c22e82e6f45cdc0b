"""Where the fields of every struct of `vhdx.ksy` stand, and of its top level, `vhdx`.

Made from the grammar by tools/layout.py; not edited by hand. Offsets count from the start of the
struct, offsets and lengths are in bytes. What there is nothing to say of is left out.

    signature  bytes that the struct begins with when it is what it should be
    length     of the piece that the grammar cuts out for the struct, else of its fields
    format     of the fields, for the module `struct`; neighbours of some bits each are one number
    fields     (offset, length) of those that are always in the same place; of bits, their number's
    bits       (lowest bit, count) of each field of bits in its number
    varying    (offset, type) of all after those, in order; an offset is known for the first alone,
               the type is that of the elements or of the whole, None for plain bytes
    cases      (type, signature) that a field may have, by its kind
    instances  (offset, length) of what is read besides the fields, always in the same place
"""

STRUCTS = {
    "vhdx": {
        "length": 520,
        "format": "<520s",
        "fields": {
            "file_identifier": (0, 520),
        },
        "instances": {
            "header_1": (0x10000, 0x1000),
            "header_2": (0x20000, 0x1000),
            "region_table_1": (0x30000, 0x10000),
            "region_table_2": (0x40000, 0x10000),
        },
    },
    "guid": {
        "length": 16,
        "format": "<16s",
        "fields": {
            "raw": (0, 16),
        },
    },
    "utf16_field": {
        "length": 512,
        "varying": {
            "units": (0, "u2"),
        },
    },
    "file_type_identifier": {
        "signature": b"vhdxfile",
        "length": 520,
        "format": "<8s512s",
        "fields": {
            "signature": (0, 8),
            "raw_creator": (8, 512),
        },
        "instances": {
            "reserved": (520, 65016),
            "creator": (8, 512),
        },
    },
    "header": {
        "signature": b"head",
        "length": 0x1000,
        "format": "<4sIQ16s16s16sHHIQ4016s",
        "fields": {
            "signature": (0, 4),
            "checksum": (4, 4),
            "sequence_number": (8, 8),
            "file_write_guid": (16, 16),
            "data_write_guid": (32, 16),
            "log_guid": (48, 16),
            "log_version": (64, 2),
            "version": (66, 2),
            "log_length": (68, 4),
            "log_offset": (72, 8),
            "reserved": (80, 4016),
        },
        "instances": {
            "sequence_number_low": (8, 4),
            "sequence_number_high": (12, 4),
        },
    },
    "region_table": {
        "signature": b"regi",
        "length": 0x10000,
        "format": "<4sIII",
        "fields": {
            "signature": (0, 4),
            "checksum": (4, 4),
            "num_entries": (8, 4),
            "reserved": (12, 4),
        },
        "varying": {
            "entries": (16, "region_table_entry"),
        },
    },
    "region_table_entry": {
        "length": 32,
        "format": "<16sQII",
        "fields": {
            "guid": (0, 16),
            "file_offset": (16, 8),
            "length": (24, 4),
            "required": (28, 4),
        },
    },
    "log_entry": {
        "length": 64,
        "format": "<64s",
        "fields": {
            "header": (0, 64),
        },
        "varying": {
            "descriptors": (64, "log_descriptor"),
            "padding": (None, None),
            "data_sectors": (None, "log_data_sector"),
        },
    },
    "log_entry_header": {
        "signature": b"loge",
        "length": 64,
        "format": "<4sIIIQII16sQQ",
        "fields": {
            "signature": (0, 4),
            "checksum": (4, 4),
            "entry_length": (8, 4),
            "tail": (12, 4),
            "sequence_number": (16, 8),
            "num_descriptors": (24, 4),
            "reserved": (28, 4),
            "log_guid": (32, 16),
            "flushed_file_offset": (48, 8),
            "last_file_offset": (56, 8),
        },
    },
    "log_descriptor": {
        "length": 32,
        "format": "<4s12sQQ",
        "fields": {
            "signature": (0, 4),
            "body": (4, 12),
            "file_offset": (16, 8),
            "sequence_number": (24, 8),
        },
        "cases": {
            "zero_descriptor": ("zero_descriptor_body", b"zero"),
            "data_descriptor": ("data_descriptor_body", b"desc"),
            "_": ("unrecognized_descriptor_body", None),
        },
    },
    "zero_descriptor_body": {
        "length": 12,
        "format": "<IQ",
        "fields": {
            "reserved": (0, 4),
            "zero_length": (4, 8),
        },
    },
    "data_descriptor_body": {
        "length": 12,
        "format": "<4s8s",
        "fields": {
            "trailing_bytes": (0, 4),
            "leading_bytes": (4, 8),
        },
    },
    "unrecognized_descriptor_body": {
        "length": 12,
        "format": "<12s",
        "fields": {
            "raw": (0, 12),
        },
    },
    "log_data_sector": {
        "signature": b"data",
        "length": 0x1000,
        "format": "<4sI4084sI",
        "fields": {
            "signature": (0, 4),
            "sequence_high": (4, 4),
            "data": (8, 4084),
            "sequence_low": (4092, 4),
        },
    },
    "metadata_table": {
        "signature": b"metadata",
        "length": 0x10000,
        "format": "<8sHH20s",
        "fields": {
            "signature": (0, 8),
            "reserved": (8, 2),
            "num_entries": (10, 2),
            "reserved_2": (12, 20),
        },
        "varying": {
            "entries": (32, "metadata_table_entry"),
        },
    },
    "metadata_table_entry": {
        "length": 32,
        "format": "<16sIIII",
        "fields": {
            "item_id": (0, 16),
            "offset": (16, 4),
            "length": (20, 4),
            "is_user": (24, 4),
            "is_virtual_disk": (24, 4),
            "is_required": (24, 4),
            "reserved": (24, 4),
            "reserved_2": (28, 4),
        },
        "bits": {
            "is_user": (0, 1),
            "is_virtual_disk": (1, 1),
            "is_required": (2, 1),
            "reserved": (3, 29),
        },
    },
    "file_parameters_item": {
        "length": 8,
        "format": "<II",
        "fields": {
            "block_size": (0, 4),
            "leave_block_allocated": (4, 4),
            "has_parent": (4, 4),
            "reserved": (4, 4),
        },
        "bits": {
            "leave_block_allocated": (0, 1),
            "has_parent": (1, 1),
            "reserved": (2, 30),
        },
    },
    "virtual_disk_size_item": {
        "length": 8,
        "format": "<Q",
        "fields": {
            "virtual_disk_size": (0, 8),
        },
    },
    "virtual_disk_id_item": {
        "length": 16,
        "format": "<16s",
        "fields": {
            "virtual_disk_id": (0, 16),
        },
    },
    "logical_sector_size_item": {
        "length": 4,
        "format": "<I",
        "fields": {
            "logical_sector_size": (0, 4),
        },
    },
    "physical_sector_size_item": {
        "length": 4,
        "format": "<I",
        "fields": {
            "physical_sector_size": (0, 4),
        },
    },
    "parent_locator_item": {
        "length": 20,
        "format": "<16sHH",
        "fields": {
            "locator_type": (0, 16),
            "reserved": (16, 2),
            "num_key_values": (18, 2),
        },
        "varying": {
            "key_values": (20, "parent_locator_entry"),
        },
    },
    "unknown_item": {
        "varying": {
            "raw": (0, None),
        },
    },
    "parent_locator_entry": {
        "length": 12,
        "format": "<IIHH",
        "fields": {
            "ofs_key": (0, 4),
            "ofs_value": (4, 4),
            "len_key": (8, 2),
            "len_value": (10, 2),
        },
    },
    "locator_text": {
        "varying": {
            "raw": (0, None),
        },
    },
    "payload_bat_entry": {
        "length": 8,
        "format": "<II",
        "fields": {
            "state": (0, 4),
            "reserved": (0, 4),
            "file_offset_mb_low": (0, 4),
            "file_offset_mb_high": (4, 4),
        },
        "bits": {
            "state": (0, 3),
            "reserved": (3, 17),
            "file_offset_mb_low": (20, 12),
        },
    },
    "sector_bitmap_bat_entry": {
        "length": 8,
        "format": "<II",
        "fields": {
            "state": (0, 4),
            "reserved": (0, 4),
            "file_offset_mb_low": (0, 4),
            "file_offset_mb_high": (4, 4),
        },
        "bits": {
            "state": (0, 3),
            "reserved": (3, 17),
            "file_offset_mb_low": (20, 12),
        },
    },
    "unused_sector": {
        "length": 0x1000,
        "format": "<4s4092s",
        "fields": {
            "signature": (0, 4),
            "rest": (4, 4092),
        },
    },
}
