meta:
  id: vhdx
  title: VHDX (Hyper-V virtual hard disk, version 2)
  application:
    - Microsoft Hyper-V
    - Windows Subsystem for Linux
    - QEMU
    - VirtualBox
  file-extension:
    - vhdx
    - avhdx
  xref:
    justsolve: VHDX
  tags:
    - filesystem
    - virtualization
  license: CC0-1.0
  ks-version: '0.11'
  endian: le
  bit-endian: le
doc: |
  A VHDX file holds one virtual hard disk of up to 64 TiB for Hyper-V and
  everything built on it (WSL2, Docker Desktop, Azure). It begins with a header
  section of exactly 1 MiB: the file type identifier, two headers and two
  region tables. Everything else lies after it at multiples of 1 MiB and in
  any order: a log (a ring buffer of metadata updates), the block allocation
  table (BAT), the metadata region, payload blocks of 1 to 256 MiB and, for
  differencing disks, sector bitmap blocks of 1 MiB.

  Conventions: all numbers are little-endian and unsigned; offsets and lengths
  are in bytes unless a name says otherwise (`_mb` counts MiB, 1048576 bytes);
  a file offset counts from the start of the file. GUIDs are kept as their 16
  bytes, of which the first three groups are little-endian.

  There are two kinds of types. *Structs* have a `seq` and are what lies on
  disk; each can be parsed alone from a buffer that holds it. *Views* have
  `params` and lazy instances, no `seq`; they find their way through the file
  and take every number they need as a parameter, so that a program which has
  judged these numbers itself can build them too. Nothing after the file type
  identifier is read before it is asked for, and a damaged structure never
  hides another one.

  What a grammar cannot do: verify CRC-32C checksums, replay the log, decide
  which header is really current, or refuse unknown regions and items that are
  marked as required. The instances at the top level are therefore a preview:
  they choose by signature and sequence number alone and show the file as it
  is stored, before any log replay. A program that reads data from an image
  has to apply the rules of the specification first.

  Only the file type identifier and the metadata table stop the parser when
  their signature is wrong. Headers, region tables and log entries have
  neighbours to fall back to, so there a wrong signature is a normal event,
  shown by an `is_...` instance.
doc-ref: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
seq:
  - id: file_identifier
    -orig-id: File type identifier
    type: file_type_identifier
    doc: Signature and creator; written once, when the file is created.
    doc-ref: '[MS-VHDX] 2.2.1'
instances:
  header_1:
    pos: 0x10000
    size: 0x1000
    type: header
    doc: |
      First copy of the header. Which copy is current is a matter of checksum
      and sequence number.
    doc-ref: '[MS-VHDX] 2.2.2'
    -webide-parse-mode: eager
  header_2:
    pos: 0x20000
    size: 0x1000
    type: header
    doc: Second copy of the header.
    doc-ref: '[MS-VHDX] 2.2.2'
    -webide-parse-mode: eager
  region_table_1:
    pos: 0x30000
    size: 0x10000
    type: region_table
    doc: |
      First copy of the region table, as stored; a log that has to be replayed
      may change it.
    doc-ref: '[MS-VHDX] 2.2.3'
    -webide-parse-mode: eager
  region_table_2:
    pos: 0x40000
    size: 0x10000
    type: region_table
    doc: Second copy of the region table.
    doc-ref: '[MS-VHDX] 2.2.3'
    -webide-parse-mode: eager
  preview:
    pos: 0
    type: >-
      copy_choice(
        header_1.rank_high,
        header_1.sequence_number_low.as<s8>,
        header_2.rank_high,
        header_2.sequence_number_low.as<s8>,
        region_table_1.is_signature_valid
      )
    doc: Which copies the instances below are built on; see there.
    -webide-parse-mode: eager
  log:
    pos: 0
    type: >-
      log_ring(
        preview.current_header == 2 ? header_2.log_offset.as<s8> : header_1.log_offset.as<s8>,
        preview.current_header == 2 ? header_2.log_length.as<s8> : header_1.log_length.as<s8>
      )
    if: preview.current_header != 0
    doc: The log that the current header names, live or stale.
    doc-ref: '[MS-VHDX] 2.3'
    -webide-parse-mode: eager
  regions:
    pos: 0
    type: 'region_lookup(preview.region_table == 2 ? 0x40000.as<s8> : 0x30000.as<s8>)'
    doc: Places of the BAT and metadata regions.
    doc-ref: '[MS-VHDX] 2.2.3.2'
    -webide-parse-mode: eager
  metadata:
    pos: 0
    type: metadata_region(regions.ofs_metadata, regions.len_metadata)
    if: regions.has_metadata
    doc: Metadata table and items.
    doc-ref: '[MS-VHDX] 2.6'
    -webide-parse-mode: eager
  bat:
    pos: 0
    type: >-
      bat_region(
        regions.ofs_bat,
        metadata.block_size,
        metadata.num_payload_blocks,
        metadata.chunk_ratio,
        metadata.has_parent
      )
    if: regions.has_bat_and_metadata
    doc: Block allocation table, and after it the blocks of the disk.
    doc-ref: '[MS-VHDX] 2.5'
    -webide-parse-mode: eager
types:
  guid:
    -webide-representation: '{raw:uuid=ms}'
    doc: |
      A GUID in binary form: the first three groups are little-endian, the last
      eight bytes stand in the order of the text form.
    doc-ref: '[MS-VHDX] 2.2.3.2'
    seq:
      - id: raw
        size: 16
  utf16_field:
    -webide-representation: '{text}'
    doc: |
      UTF-16LE text in a field of fixed size, ended by a zero unit or by the end
      of the field.
    doc-ref: '[MS-VHDX] 2.2.1'
    seq:
      - id: units
        type: u2
        repeat: until
        repeat-until: _ == 0 or _io.eof
        doc: UTF-16 code units, the zero at the end included.
    instances:
      len_text:
        value: '(units.last == 0 ? units.size * 2 - 2 : units.size * 2).as<s4>'
        doc: Length of the text in bytes, without the zero at the end.
      text:
        pos: 0
        size: len_text
        type: str
        encoding: UTF-16LE
        doc: |
          The text; a program should take the bytes and decode them tolerantly.
        -webide-parse-mode: eager
  file_type_identifier:
    -webide-representation: 'created by "{creator}"'
    doc: |
      The first 64 KiB of the file. The signature tells a VHDX file from others;
      the creator is for diagnosis only and must not influence behaviour.
    doc-ref: '[MS-VHDX] 2.2.1'
    seq:
      - id: signature
        -orig-id: Signature
        contents: vhdxfile
      - id: raw_creator
        -orig-id: Creator
        size: 512
        doc: |
          Up to 256 UTF-16LE units that name the program which made the file;
          may be empty.
    instances:
      reserved:
        pos: 520
        size: 65016
        doc: |
          Reserved; to be ignored. Not part of `seq`, so that nobody has to read
          it.
      creator:
        pos: 8
        size: 512
        type: utf16_field
        doc: Creator as text.
        -webide-parse-mode: eager
  header:
    -webide-representation: 'sequence number {sequence_number:dec}, {log_length:hex} bytes of log at {log_offset:hex}, valid signature: {is_signature_valid}'
    doc: |
      One of two copies. A copy is valid when its signature and its checksum are
      right; the valid copy with the greater sequence number is the current
      header. Note that JavaScript rounds numbers above 2^53.
    doc-ref: '[MS-VHDX] 2.2.2'
    seq:
      - id: signature
        -orig-id: Signature
        size: 4
        doc: ASCII "head" in a valid copy.
      - id: checksum
        -orig-id: Checksum
        type: u4
        doc: |
          CRC-32C of the 4096 bytes of the header, this field counted as zero.
      - id: sequence_number
        -orig-id: SequenceNumber
        type: u8
        doc: Grows with every update of the header.
      - id: file_write_guid
        -orig-id: FileWriteGuid
        type: guid
        doc: Changes once per open, before the first modification of the file.
      - id: data_write_guid
        -orig-id: DataWriteGuid
        type: guid
        doc: |
          Changes once per open, before the first change that a user of the disk
          could see. Differencing children record it to recognise their parent.
      - id: log_guid
        -orig-id: LogGuid
        type: guid
        doc: |
          Zero when the log is empty; otherwise the log has to be replayed
          before use.
      - id: log_version
        -orig-id: LogVersion
        type: u2
        doc: Version of the log format, 0.
      - id: version
        -orig-id: Version
        type: u2
        doc: Version of the file format, 1.
      - id: log_length
        -orig-id: LogLength
        type: u4
        doc: Size of the log in bytes, a multiple of 1 MiB.
      - id: log_offset
        -orig-id: LogOffset
        type: u8
        doc: File offset of the log in bytes, a multiple of 1 MiB.
      - id: reserved
        -orig-id: Reserved
        size: 4016
        doc: Written as zero, to be ignored; covered by the checksum.
    instances:
      is_signature_valid:
        value: signature == [0x68, 0x65, 0x61, 0x64]
        doc: Whether the signature is right. The checksum is not looked at.
      sequence_number_low:
        pos: 8
        type: u4
        doc: |
          Lower 32 bits of the sequence number, to compare it where a number has
          fewer than 64 bits or a sign.
      sequence_number_high:
        pos: 12
        type: u4
        doc: Upper 32 bits of the sequence number.
      rank_high:
        value: 'is_signature_valid ? sequence_number_high.as<s8> : -1.as<s8>'
        doc: |
          Upper 32 bits of the sequence number of a copy with the right
          signature, otherwise -1.
  region_table:
    -webide-representation: '{num_entries:dec} regions, valid signature: {is_signature_valid}'
    doc: |
      One of two copies of the table of regions. Updates go through the log, so
      a table may be out of date as long as the log has not been replayed.
    doc-ref: '[MS-VHDX] 2.2.3.1'
    seq:
      - id: signature
        -orig-id: Signature
        size: 4
        doc: ASCII "regi" in a valid copy.
      - id: checksum
        -orig-id: Checksum
        type: u4
        doc: |
          CRC-32C of the 65536 bytes of the table, this field counted as zero.
      - id: num_entries
        -orig-id: EntryCount
        type: u4
        doc: Number of entries, at most 2047.
      - id: reserved
        -orig-id: Reserved
        type: u4
        doc: Written as zero, to be ignored.
      - id: entries
        type: region_table_entry
        repeat: expr
        repeat-expr: 'num_entries.as<s8> <= 2047.as<s8> ? num_entries.as<s4> : 0'
        doc: The regions; none when the count is impossible.
    instances:
      unused:
        pos: 16 + entries.size * 32
        size-eos: true
        doc: |
          Reserved; covered by the checksum. Not part of `seq`, so that nobody
          has to read it.
      is_signature_valid:
        value: signature == [0x72, 0x65, 0x67, 0x69]
        doc: Whether the signature is right. The checksum is not looked at.
  region_table_entry:
    -webide-representation: '{kind} at {file_offset:hex}, {length:hex} bytes'
    doc: Place of one region.
    doc-ref: '[MS-VHDX] 2.2.3.2'
    seq:
      - id: guid
        -orig-id: Guid
        type: guid
        doc: Kind of the region.
      - id: file_offset
        -orig-id: FileOffset
        type: u8
        doc: File offset in bytes, a multiple of 1 MiB and at least 1 MiB.
      - id: length
        -orig-id: Length
        type: u4
        doc: Size in bytes, a multiple of 1 MiB.
      - id: required
        -orig-id: Required
        type: u4
        doc: |
          1 when a program that does not know the region must refuse the file.
    instances:
      kind:
        value: >-
          guid.raw == [0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08] ? region_kind::bat :
          guid.raw == [0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e] ? region_kind::metadata :
          region_kind::other
        doc: The region's kind, as far as the specification names it.
  log_entry:
    -webide-representation: '{header}'
    doc: |
      One entry of the log: a header and descriptors in whole sectors of
      4096 bytes, then one data sector for each data descriptor. An entry may
      run over the end of the ring and go on at its start; then it has to be
      put together before it can be parsed with this type.
    doc-ref: '[MS-VHDX] 2.3.1'
    seq:
      - id: header
        type: log_entry_header
      - id: descriptors
        type: log_descriptor
        repeat: expr
        repeat-expr: num_descriptors
        doc: What the entry changes; none when the count does not fit the entry.
      - id: padding
        size: len_padding
        doc: Rest of the last descriptor sector.
      - id: data_sectors
        type: log_data_sector
        repeat: expr
        repeat-expr: num_data_sectors
        doc: One for each data descriptor, in the same order.
    instances:
      len_header_and_descriptors:
        value: (64.as<s8> + (header.num_descriptors.as<s8> * 32.as<s8>).as<s8>).as<s8>
        doc: Bytes that the header and all descriptors take.
      num_descriptors:
        value: 'len_header_and_descriptors <= header.entry_length.as<s8> ? header.num_descriptors.as<s8> : 0.as<s8>'
        doc: Descriptors of the entry; none when the count does not fit it.
      len_used:
        value: (64.as<s8> + (num_descriptors.as<s8> * 32.as<s8>).as<s8>).as<s8>
        doc: Bytes that the header and these descriptors take.
      len_padding:
        value: ((4096.as<s8> - (len_used.as<s8> % 4096.as<s8>).as<s8>).as<s8> % 4096.as<s8>).as<s8>
        doc: Bytes from there to the end of the sector.
      len_descriptor_sectors:
        value: (len_used.as<s8> + len_padding.as<s8>).as<s8>
        doc: Bytes of the descriptor sectors, a multiple of 4096.
      num_data_sectors:
        value: >-
          header.entry_length.as<s8> > len_descriptor_sectors.as<s8> ?
          ((header.entry_length.as<s8> - len_descriptor_sectors.as<s8>).as<s8> / 4096.as<s8>).as<s8> :
          0.as<s8>
        doc: Data sectors for which the entry has room.
  log_entry_header:
    -webide-representation: 'sequence number {sequence_number:dec}, {num_descriptors:dec} descriptors, {entry_length:hex} bytes'
    doc: |
      Head of a log entry. Sequence numbers of logs written by Windows are far
      above 2^53 and come out rounded in JavaScript.
    doc-ref: '[MS-VHDX] 2.3.1.1'
    seq:
      - id: signature
        -orig-id: Signature
        size: 4
        doc: ASCII "loge".
      - id: checksum
        -orig-id: Checksum
        type: u4
        doc: CRC-32C of all bytes of the entry, this field counted as zero.
      - id: entry_length
        -orig-id: EntryLength
        type: u4
        doc: Size of the whole entry in bytes, a multiple of 4096.
      - id: tail
        -orig-id: Tail
        type: u4
        doc: |
          Offset in the log, in bytes, of the first entry of the sequence that
          ends here; a multiple of 4096.
      - id: sequence_number
        -orig-id: SequenceNumber
        type: u8
        doc: Greater than zero; that of the entry before plus one.
      - id: num_descriptors
        -orig-id: DescriptorCount
        type: u4
        doc: Number of descriptors, may be zero.
      - id: reserved
        -orig-id: Reserved
        type: u4
        doc: Zero.
      - id: log_guid
        -orig-id: LogGuid
        type: guid
        doc: |
          The log's identity; an entry counts only when the current header names
          the same.
      - id: flushed_file_offset
        -orig-id: FlushedFileOffset
        type: u8
        doc: |
          Size in bytes that the file had for certain when the entry was
          written.
      - id: last_file_offset
        -orig-id: LastFileOffset
        type: u8
        doc: Size in bytes that the file needs to hold everything allocated.
    instances:
      is_signature_valid:
        value: signature == [0x6c, 0x6f, 0x67, 0x65]
        doc: Whether the signature is right. The checksum is not looked at.
  log_descriptor:
    -webide-representation: '{kind} at {file_offset:hex}: {body}'
    doc: One change of the file, either 4096 bytes of data or a range of zeros.
    doc-ref: '[MS-VHDX] 2.3.1.2'
    seq:
      - id: signature
        -orig-id: Signature
        size: 4
        doc: ASCII "zero" or "desc".
      - id: body
        type:
          switch-on: kind
          cases:
            'descriptor_kind::zero': zero_descriptor_body
            'descriptor_kind::data': data_descriptor_body
            _: unrecognized_descriptor_body
        doc: The part that differs between the kinds.
      - id: file_offset
        -orig-id: FileOffset
        type: u8
        doc: Where in the file the change goes, in bytes, a multiple of 4096.
      - id: sequence_number
        -orig-id: SequenceNumber
        type: u8
        doc: That of the entry.
    instances:
      kind:
        value: >-
          signature == [0x7a, 0x65, 0x72, 0x6f] ? descriptor_kind::zero :
          signature == [0x64, 0x65, 0x73, 0x63] ? descriptor_kind::data :
          descriptor_kind::other
        doc: What the signature says.
  zero_descriptor_body:
    -webide-representation: '{zero_length:hex} bytes'
    doc: Part of a descriptor that asks for zeros.
    doc-ref: '[MS-VHDX] 2.3.1.2'
    seq:
      - id: reserved
        -orig-id: Reserved
        type: u4
        doc: Zero.
      - id: zero_length
        -orig-id: ZeroLength
        type: u8
        doc: Bytes to clear, a multiple of 4096.
  data_descriptor_body:
    -webide-representation: '{leading_bytes:hex} … {trailing_bytes:hex}'
    doc: |
      Part of a descriptor that brings data. The data sector lacks these 12
      bytes of the update.
    doc-ref: '[MS-VHDX] 2.3.1.3'
    seq:
      - id: trailing_bytes
        -orig-id: TrailingBytes
        size: 4
        doc: Bytes 4092 to 4095 of the update.
      - id: leading_bytes
        -orig-id: LeadingBytes
        size: 8
        doc: Bytes 0 to 7 of the update.
  unrecognized_descriptor_body:
    -webide-representation: '{raw:hex}'
    doc: Same part of something that is no descriptor.
    doc-ref: '[MS-VHDX] 2.3.1'
    seq:
      - id: raw
        size: 12
  log_data_sector:
    -webide-representation: 'sequence number {sequence_high:hex} {sequence_low:hex}, valid signature: {is_signature_valid}'
    doc: |
      Bytes 8 to 4091 of an update, with the sequence number of the entry around
      them.
    doc-ref: '[MS-VHDX] 2.3.1.4'
    seq:
      - id: signature
        -orig-id: DataSignature
        size: 4
        doc: ASCII "data".
      - id: sequence_high
        -orig-id: SequenceHigh
        type: u4
        doc: Upper 32 bits of the entry's sequence number.
      - id: data
        -orig-id: Data
        size: 4084
        doc: Bytes 8 to 4091 of the update.
      - id: sequence_low
        -orig-id: SequenceLow
        type: u4
        doc: Lower 32 bits of the entry's sequence number.
    instances:
      is_signature_valid:
        value: signature == [0x64, 0x61, 0x74, 0x61]
        doc: Whether the signature is right.
  metadata_table:
    -webide-representation: '{num_entries:dec} items'
    doc: The first 64 KiB of the metadata region.
    doc-ref: '[MS-VHDX] 2.6.1.1'
    seq:
      - id: signature
        -orig-id: Signature
        contents: metadata
      - id: reserved
        -orig-id: Reserved
        type: u2
        doc: Zero.
      - id: num_entries
        -orig-id: EntryCount
        type: u2
        doc: Number of entries, at most 2047.
      - id: reserved_2
        -orig-id: Reserved2
        size: 20
        doc: Zero.
      - id: entries
        type: metadata_table_entry
        repeat: expr
        repeat-expr: 'num_entries <= 2047 ? num_entries.as<s4> : 0'
        doc: The items; none when the count is impossible.
    instances:
      unused:
        pos: 32 + entries.size * 32
        size-eos: true
        doc: |
          May hold anything, stale entries for example. Not part of `seq`, so
          that nobody has to read it.
  metadata_table_entry:
    -webide-representation: '{kind} at {offset:hex}, {length:dec} bytes'
    doc: Place and nature of one metadata item.
    doc-ref: '[MS-VHDX] 2.6.1.2'
    seq:
      - id: item_id
        -orig-id: ItemId
        type: guid
        doc: What the item is.
      - id: offset
        -orig-id: Offset
        type: u4
        doc: |
          Offset from the start of the metadata region in bytes, at least 65536;
          zero for an empty item.
      - id: length
        -orig-id: Length
        type: u4
        doc: Size in bytes, at most 1 MiB.
      - id: is_user
        -orig-id: IsUser
        type: b1
        doc: Item of a user, not of the system.
      - id: is_virtual_disk
        -orig-id: IsVirtualDisk
        type: b1
        doc: |
          Item belongs to the virtual disk and goes along when the disk is
          forked or merged.
      - id: is_required
        -orig-id: IsRequired
        type: b1
        doc: A program that does not know the item must refuse the file.
      - id: reserved
        -orig-id: Reserved
        type: b29
        doc: Zero.
      - id: reserved_2
        -orig-id: Reserved2
        type: u4
        doc: Zero.
    instances:
      kind:
        value: >-
          is_user ? item_kind::other :
          item_id.raw == [0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b] ? item_kind::file_parameters :
          item_id.raw == [0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8] ? item_kind::virtual_disk_size :
          item_id.raw == [0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46] ? item_kind::virtual_disk_id :
          item_id.raw == [0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f] ? item_kind::logical_sector_size :
          item_id.raw == [0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56] ? item_kind::physical_sector_size :
          item_id.raw == [0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c] ? item_kind::parent_locator :
          item_kind::other
        doc: |
          The item's kind, as far as the specification names it; a user item is
          never a known one.
  file_parameters_item:
    -webide-representation: 'blocks of {block_size:hex} bytes, stay allocated: {leave_block_allocated}, parent: {has_parent}'
    doc: How the disk is stored.
    doc-ref: '[MS-VHDX] 2.6.2.1'
    seq:
      - id: block_size
        -orig-id: BlockSize
        type: u4
        doc: |
          Size of a payload block in bytes, a power of two from 1 MiB to 256
          MiB.
      - id: leave_block_allocated
        -orig-id: LeaveBlockAllocated
        type: b1
        doc: The disk is fixed; without meaning when the disk has a parent.
      - id: has_parent
        -orig-id: HasParent
        type: b1
        doc: The disk is a differencing disk.
      - id: reserved
        -orig-id: Reserved
        type: b30
        doc: Zero.
  virtual_disk_size_item:
    -webide-representation: '{virtual_disk_size:dec} bytes'
    doc: Size of the virtual disk.
    doc-ref: '[MS-VHDX] 2.6.2.2'
    seq:
      - id: virtual_disk_size
        -orig-id: VirtualDiskSize
        type: u8
        doc: Bytes, a multiple of the logical sector size and at most 64 TiB.
  virtual_disk_id_item:
    -webide-representation: '{virtual_disk_id}'
    doc: Identity of the virtual disk, the same in a parent and its children.
    doc-ref: '[MS-VHDX] 2.6.2.3'
    seq:
      - id: virtual_disk_id
        -orig-id: VirtualDiskId
        type: guid
  logical_sector_size_item:
    -webide-representation: '{logical_sector_size:dec} bytes'
    doc: Size of the sectors by which the disk is addressed.
    doc-ref: '[MS-VHDX] 2.6.2.4'
    seq:
      - id: logical_sector_size
        -orig-id: LogicalSectorSize
        type: u4
        doc: Bytes, 512 or 4096.
  physical_sector_size_item:
    -webide-representation: '{physical_sector_size:dec} bytes'
    doc: Size of the sectors that the disk claims to have inside.
    doc-ref: '[MS-VHDX] 2.6.2.5'
    seq:
      - id: physical_sector_size
        -orig-id: PhysicalSectorSize
        type: u4
        doc: Bytes, 512 or 4096.
  parent_locator_item:
    -webide-representation: '{num_key_values:dec} keys'
    doc: How the parent of a differencing disk is found and recognised.
    doc-ref: '[MS-VHDX] 2.6.2.6.1'
    seq:
      - id: locator_type
        -orig-id: LocatorType
        type: guid
        doc: B04AEFB7-D19E-4A81-B789-25B8E9445913 for a VHDX parent.
      - id: reserved
        -orig-id: Reserved
        type: u2
        doc: Zero.
      - id: num_key_values
        -orig-id: KeyValueCount
        type: u2
        doc: Number of keys.
      - id: key_values
        type: parent_locator_entry
        repeat: expr
        repeat-expr: 'len_table <= _io.size.as<s8> ? num_key_values.as<s4> : 0'
        doc: Keys and values; none when the count does not fit the item.
    instances:
      len_table:
        value: (20.as<s8> + (num_key_values.as<s8> * 12.as<s8>).as<s8>).as<s8>
        doc: Bytes that the header and all entries take.
      is_vhdx_type:
        value: locator_type.raw == [0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13]
        doc: Whether the parent is a VHDX file.
  parent_locator_entry:
    -webide-representation: '{key} = {value}'
    doc: |
      One key and its value, both UTF-16LE without a zero at the end. Offsets
      count from the start of the parent locator.
    doc-ref: '[MS-VHDX] 2.6.2.6.2'
    seq:
      - id: ofs_key
        -orig-id: KeyOffset
        type: u4
        doc: Where the key is, in bytes from the start of the parent locator.
      - id: ofs_value
        -orig-id: ValueOffset
        type: u4
        doc: Where the value is, in bytes from the start of the parent locator.
      - id: len_key
        -orig-id: KeyLength
        type: u2
        doc: Bytes of the key.
      - id: len_value
        -orig-id: ValueLength
        type: u2
        doc: Bytes of the value.
    instances:
      key:
        pos: ofs_key
        size: len_key
        type: locator_text
        doc: The key.
        -webide-parse-mode: eager
      value:
        pos: ofs_value
        size: len_value
        type: locator_text
        doc: The value.
        -webide-parse-mode: eager
  locator_text:
    -webide-representation: '{text}'
    doc: UTF-16LE text without a zero at the end.
    doc-ref: '[MS-VHDX] 2.6.2.6.2'
    seq:
      - id: raw
        size-eos: true
        doc: The text's bytes.
    instances:
      text:
        pos: 0
        size-eos: true
        type: str
        encoding: UTF-16LE
        doc: The text; reading it fails when the bytes are not UTF-16.
        -webide-parse-mode: eager
  payload_bat_entry:
    -webide-representation: '{state} at {file_offset_mb:dec} MiB'
    doc: Entry of the BAT for a payload block.
    doc-ref: '[MS-VHDX] 2.5.1.1'
    seq:
      - id: state
        -orig-id: State
        type: b3
        enum: payload_block_state
      - id: reserved
        -orig-id: Reserved
        type: b17
        doc: Zero.
      - id: file_offset_mb_low
        type: b12
        doc: Lower 12 bits of FileOffsetMB.
      - id: file_offset_mb_high
        type: u4
        doc: Upper 32 bits of FileOffsetMB.
    instances:
      file_offset_mb:
        -orig-id: FileOffsetMB
        value: ((file_offset_mb_high.as<s8> * 4096.as<s8>).as<s8> + file_offset_mb_low.as<s8>).as<s8>
        doc: Where the block is, in MiB from the start of the file.
      is_stored:
        value: state == payload_block_state::fully_present or state == payload_block_state::partially_present
        doc: |
          Whether the state says that the block is, wholly or partly, in this
          file.
  sector_bitmap_bat_entry:
    -webide-representation: '{state} ({state:dec}) at {file_offset_mb:dec} MiB'
    doc: Entry of the BAT for a sector bitmap block.
    doc-ref: '[MS-VHDX] 2.5.1.2'
    seq:
      - id: state
        -orig-id: State
        type: b3
        enum: sector_bitmap_state
      - id: reserved
        -orig-id: Reserved
        type: b17
        doc: Zero.
      - id: file_offset_mb_low
        type: b12
        doc: Lower 12 bits of FileOffsetMB.
      - id: file_offset_mb_high
        type: u4
        doc: Upper 32 bits of FileOffsetMB.
    instances:
      file_offset_mb:
        -orig-id: FileOffsetMB
        value: ((file_offset_mb_high.as<s8> * 4096.as<s8>).as<s8> + file_offset_mb_low.as<s8>).as<s8>
        doc: Where the sector bitmap is, in MiB from the start of the file.
      is_stored:
        value: state == sector_bitmap_state::present
        doc: Whether the state says that the sector bitmap is in this file.
  copy_choice:
    -webide-representation: 'header {current_header:dec}, region table {region_table:dec}'
    doc: |
      View; the copies that a preview goes by. The real choice needs the
      checksums.
    doc-ref: '[MS-VHDX] 2.2.2'
    params:
      - id: rank_1_high
        type: s8
        doc: |
          Upper 32 bits of the sequence number of header 1, -1 when its
          signature is wrong.
      - id: number_1_low
        type: s8
        doc: Lower 32 bits of the sequence number of header 1.
      - id: rank_2_high
        type: s8
        doc: |
          Upper 32 bits of the sequence number of header 2, -1 when its
          signature is wrong.
      - id: number_2_low
        type: s8
        doc: Lower 32 bits of the sequence number of header 2.
      - id: is_region_table_1_valid
        type: bool
        doc: Whether region table 1 has the right signature.
    instances:
      current_header:
        value: >-
          rank_1_high < 0.as<s8> and rank_2_high < 0.as<s8> ? 0 :
          (rank_2_high > rank_1_high or (rank_2_high == rank_1_high and number_2_low > number_1_low)) ? 2 :
          1
        doc: Copy of the header, 1 or 2; 0 when neither has the right signature.
      region_table:
        value: 'is_region_table_1_valid ? 1 : 2'
        doc: Copy of the region table, 1 or 2.
  log_ring:
    -webide-representation: '{len_log:hex} bytes at {ofs_log:hex}'
    doc: |
      View; the log in slots of 4096 bytes, at each of which an entry may begin.
      Slots that hold stale entries are normal. The log is a ring: an entry that
      runs over its end is shown by its header alone.
    doc-ref: '[MS-VHDX] 2.3'
    params:
      - id: ofs_log
        type: s8
        doc: File offset of the log in bytes.
      - id: len_log
        type: s8
        doc: Size of the log in bytes.
    instances:
      num_slots:
        value: 'ofs_log >= 0.as<s8> and ofs_log <= (_io.size.as<s8> - len_log.as<s8>).as<s8> ? (len_log.as<s8> / 4096.as<s8>).as<s8> : 0.as<s8>'
        doc: Number of slots; none when the log is not inside the file.
      slots:
        pos: 0
        type: log_slot((ofs_log.as<s8> + (_index.as<s8> * 4096.as<s8>).as<s8>).as<s8>, (ofs_log.as<s8> + len_log.as<s8>).as<s8>)
        repeat: expr
        repeat-expr: num_slots
        doc: The slots in the order in which they lie in the file.
  log_slot:
    -webide-representation: 'entry: {is_entry}, data sector: {is_data_sector}, {len_entry:hex} bytes'
    doc: View; 4096 bytes of the log.
    doc-ref: '[MS-VHDX] 2.3.1'
    params:
      - id: ofs_slot
        type: s8
        doc: File offset of the slot in bytes.
      - id: end_of_log
        type: s8
        doc: File offset of the end of the log in bytes.
    instances:
      signature:
        pos: ofs_slot
        size: 4
        doc: First bytes of the slot.
      is_entry:
        value: signature == [0x6c, 0x6f, 0x67, 0x65]
        doc: Whether an entry begins here, going by the signature.
      is_data_sector:
        value: signature == [0x64, 0x61, 0x74, 0x61]
        doc: Whether this is a data sector, going by the signature.
      header:
        pos: ofs_slot
        type: log_entry_header
        if: is_entry
        -webide-parse-mode: eager
      len_entry:
        value: 'is_entry ? header.entry_length.as<s8> : 0.as<s8>'
        doc: Size of the entry in bytes, 0 when there is none.
      is_entry_whole:
        value: len_entry >= 4096.as<s8> and len_entry <= (end_of_log.as<s8> - ofs_slot.as<s8>).as<s8>
        doc: Whether an entry is here and ends before the log does.
      entry:
        pos: ofs_slot
        size: len_entry
        type: log_entry
        if: is_entry_whole
  region_lookup:
    -webide-representation: 'BAT at {ofs_bat:hex}, metadata at {ofs_metadata:hex}'
    doc: |
      View; where a region table says that the known regions are. 0 stands for
      absent.
    doc-ref: '[MS-VHDX] 2.2.3.2'
    params:
      - id: ofs_table
        type: s8
        doc: File offset of the region table in bytes.
    instances:
      num_stored_entries:
        pos: (ofs_table.as<s8> + 8.as<s8>).as<s8>
        type: u4
        doc: The count as it is stored.
      num_entries:
        value: 'num_stored_entries.as<s8> <= 2047.as<s8> ? num_stored_entries.as<s8> : 0.as<s8>'
        doc: Entries in the table; none when the count is impossible.
      end_of_entries:
        value: ((ofs_table.as<s8> + 16.as<s8>).as<s8> + (num_entries.as<s8> * 32.as<s8>).as<s8>).as<s8>
        doc: File offset in bytes.
      up_to_bat:
        pos: (ofs_table.as<s8> + 16.as<s8>).as<s8>
        type: region_table_entry
        repeat: until
        repeat-until: _.kind == region_kind::bat or _io.pos.as<s8> >= end_of_entries
        if: num_entries > 0.as<s8>
        doc: Entries up to the BAT, or all of them.
      up_to_metadata:
        pos: (ofs_table.as<s8> + 16.as<s8>).as<s8>
        type: region_table_entry
        repeat: until
        repeat-until: _.kind == region_kind::metadata or _io.pos.as<s8> >= end_of_entries
        if: num_entries > 0.as<s8>
        doc: Entries up to the metadata region, or all of them.
      has_bat:
        value: 'num_entries > 0.as<s8> ? up_to_bat.last.kind == region_kind::bat : false'
      ofs_bat:
        value: 'has_bat ? up_to_bat.last.file_offset.as<s8> : 0.as<s8>'
        doc: File offset in bytes.
      len_bat:
        value: 'has_bat ? up_to_bat.last.length.as<s8> : 0.as<s8>'
        doc: Bytes.
      has_metadata:
        value: 'num_entries > 0.as<s8> ? up_to_metadata.last.kind == region_kind::metadata : false'
      ofs_metadata:
        value: 'has_metadata ? up_to_metadata.last.file_offset.as<s8> : 0.as<s8>'
        doc: File offset in bytes.
      len_metadata:
        value: 'has_metadata ? up_to_metadata.last.length.as<s8> : 0.as<s8>'
        doc: Bytes.
      has_bat_and_metadata:
        value: has_bat and has_metadata
  metadata_region:
    -webide-representation: '{virtual_disk_size:dec} bytes in blocks of {block_size:hex}, parent: {has_parent}'
    doc: |
      View; the metadata table, all items, and what the known ones say. 0 stands
      for absent or impossible.
    doc-ref: '[MS-VHDX] 2.6'
    params:
      - id: ofs_region
        type: s8
        doc: File offset of the metadata region in bytes.
      - id: len_region
        type: s8
        doc: Size of the metadata region in bytes.
    instances:
      table:
        pos: ofs_region
        size: 0x10000
        type: metadata_table
      num_items:
        value: 'table.num_entries <= 2047 ? table.num_entries.as<s8> : 0.as<s8>'
        doc: Items in the table; none when the count is impossible.
      items:
        pos: 0
        type: >-
          metadata_item(
            ofs_region,
            len_region,
            ((ofs_region.as<s8> + 32.as<s8>).as<s8> + (_index.as<s8> * 32.as<s8>).as<s8>).as<s8>
          )
        repeat: expr
        repeat-expr: num_items
        doc: The items in the order of the table.
        -webide-parse-mode: eager
      file_parameters_place:
        pos: 0
        type: item_lookup(ofs_region, len_region, num_items, item_kind::file_parameters.to_i.as<s8>)
      virtual_disk_size_place:
        pos: 0
        type: item_lookup(ofs_region, len_region, num_items, item_kind::virtual_disk_size.to_i.as<s8>)
      logical_sector_size_place:
        pos: 0
        type: item_lookup(ofs_region, len_region, num_items, item_kind::logical_sector_size.to_i.as<s8>)
      file_parameters:
        pos: file_parameters_place.ofs_item
        size: 8
        type: file_parameters_item
        if: file_parameters_place.is_usable
      virtual_disk_size_item:
        pos: virtual_disk_size_place.ofs_item
        size: 8
        type: virtual_disk_size_item
        if: virtual_disk_size_place.is_usable
      logical_sector_size_item:
        pos: logical_sector_size_place.ofs_item
        size: 4
        type: logical_sector_size_item
        if: logical_sector_size_place.is_usable
      block_size:
        value: 'file_parameters_place.is_usable ? file_parameters.block_size.as<s8> : 0.as<s8>'
        doc: Bytes.
      has_parent:
        value: 'file_parameters_place.is_usable ? file_parameters.has_parent : false'
      virtual_disk_size:
        value: 'virtual_disk_size_place.is_usable ? virtual_disk_size_item.virtual_disk_size.as<s8> : 0.as<s8>'
        doc: Bytes.
      logical_sector_size:
        value: 'logical_sector_size_place.is_usable ? logical_sector_size_item.logical_sector_size.as<s8> : 0.as<s8>'
        doc: Bytes.
      is_geometry_possible:
        value: >-
          (block_size >= 0x100000.as<s8> and block_size <= 0x10000000.as<s8>) and
          (logical_sector_size == 512.as<s8> or logical_sector_size == 4096.as<s8>) and
          (virtual_disk_size > 0.as<s8> and virtual_disk_size <= 0x400000000000.as<s8>)
        doc: |
          Whether sizes are present and within the limits of the format, so that
          they may be used as counts.
      num_payload_blocks:
        value: >-
          is_geometry_possible ?
          (((virtual_disk_size.as<s8> - 1.as<s8>).as<s8> / block_size.as<s8>).as<s8> + 1.as<s8>).as<s8> :
          0.as<s8>
        doc: Payload blocks of the disk, at most 2^26.
      chunk_ratio:
        value: >-
          is_geometry_possible ?
          ((0x800000.as<s8> * logical_sector_size.as<s8>).as<s8> / block_size.as<s8>).as<s8> :
          0.as<s8>
        doc: Payload blocks per chunk, i.e. per sector bitmap block.
  item_lookup:
    -webide-representation: 'found: {is_found}, {length:dec} bytes at {offset:hex}'
    doc: View; finds a known item in the metadata table.
    doc-ref: '[MS-VHDX] 2.6.1.2'
    params:
      - id: ofs_region
        type: s8
        doc: File offset of the metadata region in bytes.
      - id: len_region
        type: s8
        doc: Size of the metadata region in bytes.
      - id: num_entries
        type: s8
        doc: Entries in the metadata table.
      - id: kind_code
        type: s8
        doc: Number of the wanted kind in `item_kind`.
    instances:
      end_of_entries:
        value: ((ofs_region.as<s8> + 32.as<s8>).as<s8> + (num_entries.as<s8> * 32.as<s8>).as<s8>).as<s8>
        doc: File offset in bytes.
      up_to_item:
        pos: (ofs_region.as<s8> + 32.as<s8>).as<s8>
        type: metadata_table_entry
        repeat: until
        repeat-until: _.kind.to_i.as<s8> == kind_code or _io.pos.as<s8> >= end_of_entries
        if: num_entries > 0.as<s8>
        doc: Entries up to the wanted one, or all of them.
      is_found:
        value: 'num_entries > 0.as<s8> ? up_to_item.last.kind.to_i.as<s8> == kind_code : false'
      offset:
        value: 'is_found ? up_to_item.last.offset.as<s8> : 0.as<s8>'
        doc: Bytes from the start of the metadata region.
      length:
        value: 'is_found ? up_to_item.last.length.as<s8> : 0.as<s8>'
        doc: Bytes.
      is_usable:
        value: length > 0.as<s8> and offset >= 0x10000.as<s8> and offset <= (len_region.as<s8> - length.as<s8>).as<s8>
        doc: Whether the item is there and lies inside the region.
      ofs_item:
        value: (ofs_region.as<s8> + offset.as<s8>).as<s8>
        doc: File offset in bytes.
  metadata_item:
    -webide-representation: '{entry.kind}: {data}'
    doc: View; one entry of the metadata table with the item it stands for.
    doc-ref: '[MS-VHDX] 2.6.1.2'
    params:
      - id: ofs_region
        type: s8
        doc: File offset of the metadata region in bytes.
      - id: len_region
        type: s8
        doc: Size of the metadata region in bytes.
      - id: ofs_entry
        type: s8
        doc: File offset of the entry in bytes.
    instances:
      entry:
        pos: ofs_entry
        type: metadata_table_entry
        -webide-parse-mode: eager
      ofs_item:
        value: (ofs_region.as<s8> + entry.offset.as<s8>).as<s8>
        doc: File offset in bytes.
      len_item:
        value: entry.length.as<s8>
        doc: Bytes.
      is_usable:
        value: >-
          len_item > 0.as<s8> and len_item <= 0x100000.as<s8> and
          ofs_item >= (ofs_region.as<s8> + 0x10000.as<s8>).as<s8> and
          ofs_item <= ((ofs_region.as<s8> + len_region.as<s8>).as<s8> - len_item.as<s8>).as<s8>
        doc: Whether the item is not empty and lies inside the region.
      data:
        pos: ofs_item
        size: len_item
        type:
          switch-on: entry.kind
          cases:
            'item_kind::file_parameters': file_parameters_item
            'item_kind::virtual_disk_size': virtual_disk_size_item
            'item_kind::virtual_disk_id': virtual_disk_id_item
            'item_kind::logical_sector_size': logical_sector_size_item
            'item_kind::physical_sector_size': physical_sector_size_item
            'item_kind::parent_locator': parent_locator_item
        if: is_usable
        doc: The item; bytes when it is not a known one.
        -webide-parse-mode: eager
  bat_region:
    -webide-representation: '{num_payload_blocks:dec} payload blocks in {num_chunks:dec} chunks'
    doc: |
      View; the BAT in chunks. A chunk is the part of the disk that one sector
      bitmap block describes, 2^23 sectors; its entries are `chunk_ratio`
      payload entries and then the entry of the sector bitmap. The layout is the
      same for fixed, dynamic and differencing disks.
    doc-ref: '[MS-VHDX] 2.5'
    params:
      - id: ofs_region
        type: s8
        doc: File offset of the BAT region in bytes.
      - id: block_size
        type: s8
        doc: Size of a payload block in bytes.
      - id: num_payload_blocks
        type: s8
        doc: Payload blocks of the disk.
      - id: chunk_ratio
        type: s8
        doc: Payload blocks per chunk.
      - id: has_parent
        type: bool
        doc: Whether the disk is a differencing disk.
    instances:
      num_chunks:
        value: >-
          num_payload_blocks > 0.as<s8> and chunk_ratio > 0.as<s8> ?
          (((num_payload_blocks.as<s8> - 1.as<s8>).as<s8> / chunk_ratio.as<s8>).as<s8> + 1.as<s8>).as<s8> :
          0.as<s8>
        doc: Chunks of the disk, at most 16384.
      chunks:
        pos: 0
        type: bat_chunk(_index.as<s8>, ofs_region, block_size, num_payload_blocks, chunk_ratio, has_parent)
        repeat: expr
        repeat-expr: num_chunks
  bat_chunk:
    -webide-representation: '{num_payload_blocks:dec} payload blocks from {first_block:dec} on'
    doc: View; the entries of one chunk, and the blocks they place.
    doc-ref: '[MS-VHDX] 2.5'
    params:
      - id: chunk_index
        type: s8
        doc: Number of the chunk, from 0.
      - id: ofs_region
        type: s8
        doc: File offset of the BAT region in bytes.
      - id: block_size
        type: s8
        doc: Size of a payload block in bytes.
      - id: num_disk_blocks
        type: s8
        doc: Payload blocks of the disk.
      - id: chunk_ratio
        type: s8
        doc: Payload blocks per chunk.
      - id: has_parent
        type: bool
        doc: Whether the disk is a differencing disk.
    instances:
      first_block:
        value: (chunk_index.as<s8> * chunk_ratio.as<s8>).as<s8>
        doc: Number of the chunk's first payload block.
      num_blocks_from_here:
        value: (num_disk_blocks.as<s8> - first_block.as<s8>).as<s8>
        doc: Payload blocks from the chunk's first to the end of the disk.
      num_payload_blocks:
        value: 'num_blocks_from_here < chunk_ratio ? num_blocks_from_here.as<s8> : chunk_ratio.as<s8>'
        doc: |
          Payload entries of the chunk; the last chunk may have fewer than the
          others.
      ofs_entries:
        value: (ofs_region.as<s8> + ((chunk_index.as<s8> * (chunk_ratio.as<s8> + 1.as<s8>).as<s8>).as<s8> * 8.as<s8>).as<s8>).as<s8>
        doc: File offset of the chunk's first entry in bytes.
      ofs_sector_bitmap_entry:
        value: (ofs_entries.as<s8> + (chunk_ratio.as<s8> * 8.as<s8>).as<s8>).as<s8>
        doc: File offset in bytes.
      has_sector_bitmap_entry:
        value: has_parent or num_blocks_from_here > chunk_ratio
        doc: The last chunk of a fixed or dynamic disk has none.
      raw_entries:
        pos: ofs_entries
        size: (num_payload_blocks.as<s8> * 8.as<s8>).as<s8>
        doc: The payload entries as bytes, for programs that read them in bulk.
      payload_blocks:
        pos: 0
        type: payload_block((ofs_entries.as<s8> + (_index.as<s8> * 8.as<s8>).as<s8>).as<s8>, block_size)
        repeat: expr
        repeat-expr: num_payload_blocks
      sector_bitmap:
        pos: 0
        type: sector_bitmap_block(ofs_sector_bitmap_entry)
        if: has_sector_bitmap_entry
        -webide-parse-mode: eager
  payload_block:
    -webide-representation: '{entry}'
    doc: View; one payload block with its entry in the BAT.
    doc-ref: '[MS-VHDX] 2.5.1.1'
    params:
      - id: ofs_entry
        type: s8
        doc: File offset of the entry in bytes.
      - id: len_data
        type: s8
        doc: Size of the block in bytes.
    instances:
      entry:
        pos: ofs_entry
        type: payload_bat_entry
        -webide-parse-mode: eager
      is_stored:
        value: entry.is_stored
      file_offset_mb:
        value: entry.file_offset_mb.as<s8>
        doc: MiB.
      has_data:
        value: >-
          is_stored and len_data <= _io.size.as<s8> and
          file_offset_mb <= ((_io.size.as<s8> - len_data.as<s8>).as<s8> / 0x100000.as<s8>).as<s8>
        doc: Whether the block is stored and lies inside the file.
      data:
        pos: (file_offset_mb.as<s8> * 0x100000.as<s8>).as<s8>
        size: len_data
        if: has_data
        doc: The block's bytes, up to 256 MiB of them.
  sector_bitmap_block:
    -webide-representation: '{entry}'
    doc: |
      View; the sector bitmap of a chunk with its entry in the BAT. One bit for
      each logical sector, least significant bit first: 1 when the sector is in
      this file, 0 when it is in the parent. Counts for partially present
      payload blocks only.
    doc-ref: '[MS-VHDX] 2.4'
    params:
      - id: ofs_entry
        type: s8
        doc: File offset of the entry in bytes.
    instances:
      entry:
        pos: ofs_entry
        type: sector_bitmap_bat_entry
        -webide-parse-mode: eager
      is_stored:
        value: entry.is_stored
      file_offset_mb:
        value: entry.file_offset_mb.as<s8>
        doc: MiB.
      has_data:
        value: >-
          is_stored and _io.size.as<s8> >= 0x100000.as<s8> and
          file_offset_mb <= ((_io.size.as<s8> - 0x100000.as<s8>).as<s8> / 0x100000.as<s8>).as<s8>
        doc: Whether the bitmap is stored and lies inside the file.
      data:
        pos: (file_offset_mb.as<s8> * 0x100000.as<s8>).as<s8>
        size: 0x100000
        if: has_data
        doc: The bitmap.
enums:
  region_kind:
    0:
      id: other
      doc: Not named by the specification.
    1:
      id: bat
      -orig-id: BAT
    2:
      id: metadata
      -orig-id: Metadata region
  descriptor_kind:
    0:
      id: other
      doc: Neither signature.
    1:
      id: zero
      -orig-id: Zero Descriptor
    2:
      id: data
      -orig-id: Data Descriptor
  item_kind:
    0:
      id: other
      doc: Not named by the specification, or an item of a user.
    1:
      id: file_parameters
      -orig-id: File Parameters
    2:
      id: virtual_disk_size
      -orig-id: Virtual Disk Size
    3:
      id: virtual_disk_id
      -orig-id: Virtual Disk ID
    4:
      id: logical_sector_size
      -orig-id: Logical Sector Size
    5:
      id: physical_sector_size
      -orig-id: Physical Sector Size
    6:
      id: parent_locator
      -orig-id: Parent Locator
  payload_block_state:
    0:
      id: not_present
      -orig-id: PAYLOAD_BLOCK_NOT_PRESENT
      doc: Nothing stored; a differencing disk has the block in its parent.
    1:
      id: undefined
      -orig-id: PAYLOAD_BLOCK_UNDEFINED
      doc: Contents are not defined, whatever a parent says.
    2:
      id: zero
      -orig-id: PAYLOAD_BLOCK_ZERO
      doc: Reads as zeros.
    3:
      id: unmapped
      -orig-id: PAYLOAD_BLOCK_UNMAPPED
      doc: Was unmapped by the guest; reads as zeros or as before.
    6:
      id: fully_present
      -orig-id: PAYLOAD_BLOCK_FULLY_PRESENT
      doc: All of the block is stored in this file.
    7:
      id: partially_present
      -orig-id: PAYLOAD_BLOCK_PARTIALLY_PRESENT
      doc: |
        The sector bitmap tells which sectors are in this file; differencing
        disks only.
  sector_bitmap_state:
    0:
      id: not_present
      -orig-id: SB_BLOCK_NOT_PRESENT
    6:
      id: present
      -orig-id: SB_BLOCK_PRESENT
