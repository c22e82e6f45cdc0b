"""Where [MS-VHDX] puts every field, in bytes from the start of its structure."""

from __future__ import annotations

# Type in the grammar: (field, offset, length). Fields of bits are left out.
FIELDS: dict[str, list[tuple[str, int, int]]] = {
    "file_type_identifier": [("signature", 0, 8), ("raw_creator", 8, 512)],
    "header": [
        ("signature", 0, 4),
        ("checksum", 4, 4),
        ("sequence_number", 8, 8),
        ("file_write_guid", 16, 16),
        ("data_write_guid", 32, 16),
        ("log_guid", 48, 16),
        ("log_version", 64, 2),
        ("version", 66, 2),
        ("log_length", 68, 4),
        ("log_offset", 72, 8),
        ("reserved", 80, 4016),
    ],
    "region_table": [
        ("signature", 0, 4),
        ("checksum", 4, 4),
        ("num_entries", 8, 4),
        ("reserved", 12, 4),
    ],
    "region_table_entry": [
        ("guid", 0, 16),
        ("file_offset", 16, 8),
        ("length", 24, 4),
        ("required", 28, 4),
    ],
    "log_entry_header": [
        ("signature", 0, 4),
        ("checksum", 4, 4),
        ("entry_length", 8, 4),
        ("tail", 12, 4),
        ("sequence_number", 16, 8),
        ("num_descriptors", 24, 4),
        ("reserved", 28, 4),
        ("log_guid", 32, 16),
        ("flushed_file_offset", 48, 8),
        ("last_file_offset", 56, 8),
    ],
    "log_descriptor": [
        ("signature", 0, 4),
        ("body", 4, 12),
        ("file_offset", 16, 8),
        ("sequence_number", 24, 8),
    ],
    "zero_descriptor_body": [("reserved", 0, 4), ("zero_length", 4, 8)],
    "data_descriptor_body": [("trailing_bytes", 0, 4), ("leading_bytes", 4, 8)],
    "log_data_sector": [
        ("signature", 0, 4),
        ("sequence_high", 4, 4),
        ("data", 8, 4084),
        ("sequence_low", 4092, 4),
    ],
    "metadata_table": [
        ("signature", 0, 8),
        ("reserved", 8, 2),
        ("num_entries", 10, 2),
        ("reserved_2", 12, 20),
    ],
    "metadata_table_entry": [
        ("item_id", 0, 16),
        ("offset", 16, 4),
        ("length", 20, 4),
        ("reserved_2", 28, 4),
    ],
    "file_parameters_item": [("block_size", 0, 4)],
    "virtual_disk_size_item": [("virtual_disk_size", 0, 8)],
    "virtual_disk_id_item": [("virtual_disk_id", 0, 16)],
    "logical_sector_size_item": [("logical_sector_size", 0, 4)],
    "physical_sector_size_item": [("physical_sector_size", 0, 4)],
    "parent_locator_item": [
        ("locator_type", 0, 16),
        ("reserved", 16, 2),
        ("num_key_values", 18, 2),
    ],
    "parent_locator_entry": [
        ("ofs_key", 0, 4),
        ("ofs_value", 4, 4),
        ("len_key", 8, 2),
        ("len_value", 10, 2),
    ],
}

# Types of a fixed length.
LENGTHS = {
    "header": 4096,
    "region_table": 65536,
    "region_table_entry": 32,
    "log_entry_header": 64,
    "log_descriptor": 32,
    "log_data_sector": 4096,
    "metadata_table": 65536,
    "metadata_table_entry": 32,
    "file_parameters_item": 8,
    "virtual_disk_size_item": 8,
    "virtual_disk_id_item": 16,
    "logical_sector_size_item": 4,
    "physical_sector_size_item": 4,
    "parent_locator_entry": 12,
    "payload_bat_entry": 8,
    "sector_bitmap_bat_entry": 8,
}

# Where repeated fields begin: (type, field): (offset of the first element, its type).
ELEMENTS = {
    ("region_table", "entries"): (16, "region_table_entry"),
    ("metadata_table", "entries"): (32, "metadata_table_entry"),
    ("parent_locator_item", "key_values"): (20, "parent_locator_entry"),
    ("log_entry", "descriptors"): (64, "log_descriptor"),
}
