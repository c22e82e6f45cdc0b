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
    wikidata:
      - Q105859782
      - Q123245803
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

  There are two kinds of types. *Structs* have no `params` and are what lies on
  disk; each can be parsed alone from a buffer that holds it. *Views* have
  `params`; they find their way through the file, from the file offset of the
  structure that they go by, so that a program which has judged this structure
  itself can build them too. A view of one thing has the bytes of this thing,
  or those of its entry in a table, as its `seq`. Nothing after the file type
  identifier is read before it is asked for, a damaged structure never hides
  another one, and a view of something that the file ends in the middle of
  shows what is there.

  What a grammar cannot do: verify CRC-32C checksums, replay the log, decide
  which header is really current, or refuse unknown regions and items that are
  marked as required. The instances at the top level are therefore a preview:
  they choose by signature, count and sequence number alone and show the file
  as it is stored, before any log replay. A program that reads data from an
  image has to apply the rules of the specification first.

  Only the file type identifier stops the parser when its signature is wrong.
  Anywhere else there may be something to see all the same, so there a wrong
  signature is a normal event, shown by an `is_...` instance.

  Why it is written as it is: `.as<s8>` stands where a number that is computed
  would have 32 bits in Java, C++ or C#, or Go and Rust would not mix widths,
  and nowhere else: a script of the conformance kit leaves out each cast and
  says which language needs it. A view that has no bytes
  of its own says `pos: 0`, because an instance has to have a place. No
  expression names an instance of a user type twice, which fails in Rust.
doc-ref: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
seq:
  - id: file_identifier
    -orig-id: File type identifier
    type: file_type_identifier
    doc: Signature and creator; written once, when the file is created.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.1'
instances:
  header_1:
    pos: 0x10000
    size: 0x1000
    type: header
    doc: |
      First copy of the header. Which copy is current is a matter of checksum
      and sequence number.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.2'
    -webide-parse-mode: eager
  header_2:
    pos: 0x20000
    size: 0x1000
    type: header
    doc: Second copy of the header.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.2'
    -webide-parse-mode: eager
  region_table_1:
    pos: 0x30000
    size: 0x10000
    type: region_table
    doc: |
      First copy of the region table, as stored; a log that has to be replayed
      may change it.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3'
    -webide-parse-mode: eager
  region_table_2:
    pos: 0x40000
    size: 0x10000
    type: region_table
    doc: Second copy of the region table.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3'
    -webide-parse-mode: eager
  current_header:
    pos: 0
    type: header_choice(0x10000, 0x20000)
    doc: Which copy of the header the log below is taken from.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.2'
    -webide-parse-mode: eager
  current_region_table:
    pos: 0
    type: region_table_choice(0x30000, 0x40000)
    doc: Which copy of the region table the regions below are taken from.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3'
    -webide-parse-mode: eager
  region_of_bat:
    pos: 0
    type: region_lookup(current_region_table.ofs_table, region_kind::bat_region.to_i.as<s8>)
    doc: Where the region table says that the BAT is.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3.2'
    -webide-parse-mode: eager
  region_of_metadata:
    pos: 0
    type: region_lookup(current_region_table.ofs_table, region_kind::metadata_region.to_i.as<s8>)
    doc: Where the region table says that the metadata region is.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3.2'
    -webide-parse-mode: eager
  log:
    pos: 0
    type: log_ring(current_header.ofs_header)
    if: current_header.is_found
    doc: The log that the current header names, live or stale.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3'
    -webide-parse-mode: eager
  metadata:
    pos: 0
    type: metadata_view(region_of_metadata.ofs_entry)
    if: region_of_metadata.is_found
    doc: Metadata items, and the table that lists them.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6'
    -webide-parse-mode: eager
  bat:
    pos: 0
    type: bat_view(region_of_bat.ofs_entry, region_of_metadata.ofs_entry)
    if: region_of_bat.is_found and region_of_metadata.is_found
    doc: Block allocation table, and after it the blocks of the disk.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.5'
    -webide-parse-mode: eager
types:
  guid:
    -webide-representation: '{raw:uuid=ms}'
    doc: |
      A GUID in binary form: the first three groups are little-endian, the last
      eight bytes stand in the order of the text form.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3.2'
    seq:
      - id: raw
        size: 16
  utf16_field:
    -webide-representation: '{text}'
    doc: |
      UTF-16LE text in a field of fixed size, ended by a zero unit or by the end
      of the field.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.1'
    seq:
      - id: units
        type: u2
        repeat: until
        repeat-until: _ == 0 or _io.eof
        doc: UTF-16 code units, the zero at the end included.
    instances:
      len_text:
        value: 'units.last == 0 ? units.size * 2 - 2 : units.size * 2'
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.1'
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
    -webide-representation: 'sequence number {sequence_number:dec}, valid signature: {is_signature_valid}'
    doc: |
      One of two copies. A copy is valid when its signature and its checksum are
      right; the valid copy with the greater sequence number is the current
      header. JavaScript rounds numbers above 2^53; the two halves of the
      sequence number are exact.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.2'
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3.1'
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
        repeat-expr: 'num_entries.as<s8> <= 2047.as<s8> ? num_entries : 0'
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3.2'
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
          guid.raw == [0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08] ? region_kind::bat_region :
          guid.raw == [0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e] ? region_kind::metadata_region :
          region_kind::other_region
        doc: The region's kind, as far as the specification names it.
  log_entry:
    -webide-representation: '{header}'
    doc: |
      One entry of the log: a header and descriptors in whole sectors of
      4096 bytes, then one data sector for each data descriptor. An entry may
      run over the end of the ring and go on at its start; then it has to be
      put together before it can be parsed with this type.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1'
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
        value: (64 + (header.num_descriptors.as<s8> * 32).as<s8>).as<s8>
        doc: Bytes that the header and all descriptors take.
      num_descriptors:
        value: 'len_header_and_descriptors <= header.entry_length.as<s8> ? header.num_descriptors.as<s8> : 0'
        doc: Descriptors of the entry; none when the count does not fit it.
      len_used:
        value: (64 + (num_descriptors * 32)).as<s8>
        doc: Bytes that the header and these descriptors take.
      len_padding:
        value: ((4096 - (len_used % 4096)) % 4096).as<s8>
        doc: Bytes from there to the end of the sector.
      len_descriptor_sectors:
        value: (len_used + len_padding).as<s8>
        doc: Bytes of the descriptor sectors, a multiple of 4096.
      num_data_sectors:
        value: >-
          header.entry_length.as<s8> > len_descriptor_sectors ?
          ((header.entry_length.as<s8> - len_descriptor_sectors) / 4096).as<s8> :
          0
        doc: Data sectors for which the entry has room.
  log_entry_header:
    -webide-representation: 'sequence number {sequence_number:dec}, {num_descriptors:dec} descriptors, {entry_length:hex} bytes'
    doc: |
      Head of a log entry. Sequence numbers of logs written by Windows are far
      above 2^53 and come out rounded in JavaScript; a slot of the log has the
      two halves of its entry's, which are exact.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1.1'
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1.2'
    seq:
      - id: signature
        -orig-id: Signature
        size: 4
        doc: ASCII "zero" or "desc".
      - id: body
        type:
          switch-on: kind
          cases:
            'descriptor_kind::zero_descriptor': zero_descriptor_body
            'descriptor_kind::data_descriptor': data_descriptor_body
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
          signature == [0x7a, 0x65, 0x72, 0x6f] ? descriptor_kind::zero_descriptor :
          signature == [0x64, 0x65, 0x73, 0x63] ? descriptor_kind::data_descriptor :
          descriptor_kind::other_descriptor
        doc: What the signature says.
  zero_descriptor_body:
    -webide-representation: '{zero_length:hex} bytes'
    doc: Part of a descriptor that asks for zeros.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1.2'
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
    -webide-representation: '{leading_bytes:hex} ... {trailing_bytes:hex}'
    doc: |
      Part of a descriptor that brings data. The data sector lacks these 12
      bytes of the update.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1.3'
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1'
    seq:
      - id: raw
        size: 12
  log_data_sector:
    -webide-representation: 'sequence number {sequence_high:hex} {sequence_low:hex}, valid signature: {is_signature_valid}'
    doc: |
      Bytes 8 to 4091 of an update, with the sequence number of the entry around
      them.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1.4'
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
    -webide-representation: '{num_entries:dec} items, valid signature: {is_signature_valid}'
    doc: The first 64 KiB of the metadata region.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.1.1'
    seq:
      - id: signature
        -orig-id: Signature
        size: 8
        doc: ASCII "metadata".
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
        repeat-expr: 'num_entries <= 2047 ? num_entries : 0'
        doc: The items; none when the count is impossible.
    instances:
      unused:
        pos: 32 + entries.size * 32
        size-eos: true
        doc: |
          May hold anything, stale entries for example. Not part of `seq`, so
          that nobody has to read it.
      is_signature_valid:
        value: signature == [0x6d, 0x65, 0x74, 0x61, 0x64, 0x61, 0x74, 0x61]
        doc: Whether the signature is right.
  metadata_table_entry:
    -webide-representation: '{kind} at {offset:hex}, {length:dec} bytes'
    doc: Place and nature of one metadata item.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.1.2'
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2.1'
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2.2'
    seq:
      - id: virtual_disk_size
        -orig-id: VirtualDiskSize
        type: u8
        doc: Bytes, a multiple of the logical sector size and at most 64 TiB.
  virtual_disk_id_item:
    -webide-representation: '{virtual_disk_id}'
    doc: Identity of the virtual disk, the same in a parent and its children.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2.3'
    seq:
      - id: virtual_disk_id
        -orig-id: VirtualDiskId
        type: guid
  logical_sector_size_item:
    -webide-representation: '{logical_sector_size:dec} bytes'
    doc: Size of the sectors by which the disk is addressed.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2.4'
    seq:
      - id: logical_sector_size
        -orig-id: LogicalSectorSize
        type: u4
        doc: Bytes, 512 or 4096.
  physical_sector_size_item:
    -webide-representation: '{physical_sector_size:dec} bytes'
    doc: Size of the sectors that the disk claims to have inside.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2.5'
    seq:
      - id: physical_sector_size
        -orig-id: PhysicalSectorSize
        type: u4
        doc: Bytes, 512 or 4096.
  parent_locator_item:
    -webide-representation: '{num_key_values:dec} keys'
    doc: How the parent of a differencing disk is found and recognised.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2.6.1'
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
        repeat-expr: 'len_table <= _io.size ? num_key_values : 0'
        doc: Keys and values; none when the count does not fit the item.
    instances:
      len_table:
        value: (20 + (num_key_values.as<s8> * 12)).as<s8>
        doc: Bytes that the header and all entries take.
      is_vhdx_type:
        value: locator_type.raw == [0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13]
        doc: Whether the parent is a VHDX file.
  unknown_item:
    -webide-representation: '{raw}'
    doc: Item of which the specification does not say what it is.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2'
    seq:
      - id: raw
        size-eos: true
        doc: The item's bytes.
  parent_locator_entry:
    -webide-representation: '{key} = {value}'
    doc: |
      One key and its value, both UTF-16LE without a zero at the end. Offsets
      count from the start of the parent locator.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2.6.2'
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2.6.2'
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
    -webide-representation: '{state}, {location}'
    doc: Entry of the BAT for a payload block.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.5.1.1'
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
      location:
        value: 'is_stored ? "at " + file_offset_mb.to_s + " MiB" : "not in this file"'
        doc: Where the block is, for people.
  sector_bitmap_bat_entry:
    -webide-representation: '{state} ({state:dec}), {location}'
    doc: Entry of the BAT for a sector bitmap block.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.5.1.2'
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
        value: state == sector_bitmap_state::bitmap_present
        doc: Whether the state says that the sector bitmap is in this file.
      location:
        value: 'is_stored ? "at " + file_offset_mb.to_s + " MiB" : "not in this file"'
        doc: Where the sector bitmap is, for people.
  header_choice:
    -webide-representation: '{chosen}'
    doc: |
      View; the copy of the header with the right signature and the greater
      sequence number. The real choice needs the checksums.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.2'
    params:
      - id: ofs_header_1
        type: s8
        doc: File offset of header 1 in bytes.
      - id: ofs_header_2
        type: s8
        doc: File offset of header 2 in bytes.
    instances:
      has_header_1:
        value: _io.size.as<s8> >= (ofs_header_1 + 4096)
        -webide-parse-mode: lazy
      has_header_2:
        value: _io.size.as<s8> >= (ofs_header_2 + 4096)
        -webide-parse-mode: lazy
      header_1:
        pos: ofs_header_1
        size: 0x1000
        type: header
        if: has_header_1
      header_2:
        pos: ofs_header_2
        size: 0x1000
        type: header
        if: has_header_2
      rank_1_high:
        value: 'has_header_1 ? header_1.rank_high : -1.as<s8>'
        doc: |
          Upper 32 bits of the sequence number of header 1, -1 when there is no
          copy with the right signature.
        -webide-parse-mode: lazy
      rank_1_low:
        value: 'has_header_1 ? header_1.sequence_number_low.as<s8> : 0'
        doc: Lower 32 bits of the sequence number of header 1.
        -webide-parse-mode: lazy
      rank_2_high:
        value: 'has_header_2 ? header_2.rank_high : -1.as<s8>'
        doc: |
          Upper 32 bits of the sequence number of header 2, -1 when there is no
          copy with the right signature.
        -webide-parse-mode: lazy
      rank_2_low:
        value: 'has_header_2 ? header_2.sequence_number_low.as<s8> : 0'
        doc: Lower 32 bits of the sequence number of header 2.
        -webide-parse-mode: lazy
      is_found:
        value: rank_1_high >= 0 or rank_2_high >= 0
        -webide-parse-mode: lazy
      is_second:
        value: >-
          is_found and
          (rank_2_high > rank_1_high or (rank_2_high >= rank_1_high and rank_2_low > rank_1_low))
        -webide-parse-mode: lazy
      chosen:
        value: 'is_found ? (is_second ? "header 2" : "header 1") : "no header"'
        doc: The copy, for people.
      ofs_header:
        value: 'is_second ? ofs_header_2 : ofs_header_1'
        doc: File offset of this copy in bytes; of the first when there is none.
        -webide-parse-mode: lazy
  region_table_choice:
    -webide-representation: '{chosen}'
    doc: |
      View; the first copy of the region table when its signature is right and
      its count possible, otherwise the second. The real choice needs the
      checksums.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3.1'
    params:
      - id: ofs_table_1
        type: s8
        doc: File offset of region table 1 in bytes.
      - id: ofs_table_2
        type: s8
        doc: File offset of region table 2 in bytes.
    instances:
      signature_1:
        pos: ofs_table_1
        size: 4
        doc: Signature of region table 1.
      num_entries_1:
        pos: ofs_table_1 + 8
        type: u4
        doc: Entries of region table 1, as they are counted there.
      is_first:
        value: >-
          _io.size.as<s8> >= (ofs_table_1 + 16) ?
          (signature_1 == [0x72, 0x65, 0x67, 0x69] and num_entries_1.as<s8> <= 2047.as<s8>) :
          false
        doc: Whether region table 1 is in the file and may be what it should be.
        -webide-parse-mode: lazy
      chosen:
        value: 'is_first ? "region table 1" : "region table 2"'
        doc: The copy, for people.
      ofs_table:
        value: 'is_first ? ofs_table_1 : ofs_table_2'
        doc: File offset of this copy in bytes.
        -webide-parse-mode: lazy
  region_lookup:
    -webide-representation: '{entry}'
    doc: View; finds a known region in a region table.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.2.3.2'
    params:
      - id: ofs_table
        type: s8
        doc: File offset of the region table in bytes.
      - id: kind_code
        type: s8
        doc: Number of the wanted kind in `region_kind`.
    instances:
      has_count:
        value: _io.size.as<s8> >= (ofs_table + 16)
        doc: Whether the file has the head of the table.
        -webide-parse-mode: lazy
      num_stated_entries:
        pos: ofs_table + 8
        type: u4
        doc: The count as it is stored.
      num_possible_entries:
        value: >-
          has_count ?
          (num_stated_entries.as<s8> <= 2047.as<s8> ? num_stated_entries.as<s8> : 0) :
          0
        doc: The count; none when it is impossible.
        -webide-parse-mode: lazy
      end_of_possible_entries:
        value: ((ofs_table + 16) + (num_possible_entries * 32)).as<s8>
        doc: File offset in bytes.
        -webide-parse-mode: lazy
      num_entries:
        value: >-
          has_count and end_of_possible_entries > _io.size ?
          (((_io.size - ofs_table) - 16) / 32).as<s8> :
          num_possible_entries
        doc: Entries in the table, as far as the file has them.
        -webide-parse-mode: lazy
      end_of_entries:
        value: ((ofs_table + 16) + (num_entries * 32)).as<s8>
        doc: File offset in bytes.
        -webide-parse-mode: lazy
      up_to_entry:
        pos: ofs_table + 16
        type: region_table_entry
        repeat: until
        repeat-until: _.kind.to_i.as<s8> == kind_code or _io.pos >= end_of_entries
        if: num_entries > 0
        doc: Entries up to the wanted one, or all of them.
      is_found:
        value: 'num_entries > 0 ? up_to_entry.last.kind.to_i.as<s8> == kind_code : false'
        -webide-parse-mode: lazy
      num_passed:
        value: 'is_found ? (up_to_entry.size - 1).as<s8> : 0'
        doc: Entries before the wanted one.
        -webide-parse-mode: lazy
      ofs_entry:
        value: ((ofs_table + 16) + (num_passed * 32)).as<s8>
        doc: File offset of the wanted entry in bytes.
        -webide-parse-mode: lazy
      entry:
        pos: ofs_entry
        type: region_table_entry
        if: is_found
        doc: The wanted entry.
        -webide-parse-mode: eager
  log_ring:
    -webide-representation: '{len_log:hex} bytes at {ofs_log:hex}, has to be replayed: {has_to_be_replayed}'
    doc: |
      View; the log in slots of 4096 bytes, at each of which an entry may begin.
      Slots that hold stale entries are normal. The log is a ring: an entry that
      runs over its end is shown by its header alone.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3'
    params:
      - id: ofs_header
        type: s8
        doc: File offset of the header that names the log in bytes.
    instances:
      header:
        pos: ofs_header
        size: 0x1000
        type: header
        doc: The header that names the log.
      has_to_be_replayed:
        value: header.log_guid.raw != [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]
        doc: |
          Whether the log holds changes, going by its GUID; until they are
          replayed, the regions may be out of date.
      ofs_log:
        value: header.log_offset.as<s8>
        doc: File offset of the log in bytes.
      len_log:
        value: header.log_length.as<s8>
        doc: Size of the log in bytes.
      len_stored:
        value: >-
          ofs_log > 0 and ofs_log <= _io.size ?
          (len_log <= (_io.size - ofs_log) ? len_log : (_io.size - ofs_log).as<s8>) :
          0
        doc: Bytes of the log that the file holds.
        -webide-parse-mode: lazy
      end_of_log:
        value: (ofs_log + len_stored).as<s8>
        doc: File offset in bytes of the end of the log, or of the file.
        -webide-parse-mode: lazy
      ofs_log_guid:
        value: (ofs_header + 48).as<s8>
        doc: File offset of the LogGuid in the header in bytes.
        -webide-parse-mode: lazy
      num_slots:
        value: len_stored / 4096
        doc: Number of slots, as far as the file has them.
        -webide-parse-mode: lazy
      slots:
        pos: ofs_log
        type: >-
          log_slot(
            (ofs_log + (_index.as<s8> * 4096)),
            end_of_log,
            ofs_log_guid
          )
        repeat: expr
        repeat-expr: num_slots
        if: num_slots > 0
        doc: The slots in the order in which they lie in the file.
  log_slot:
    -webide-representation: '{kind}: {sector}'
    doc: View; 4096 bytes of the log.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1'
    params:
      - id: ofs_slot
        type: s8
        doc: File offset of the slot in bytes.
      - id: end_of_log
        type: s8
        doc: File offset in bytes of the end of the log, or of the file.
      - id: ofs_log_guid
        type: s8
        doc: File offset of the LogGuid in the header that names the log.
    seq:
      - id: raw
        size: 0x1000
        doc: The slot's bytes.
    instances:
      sector:
        pos: ofs_slot
        type:
          switch-on: kind_code
          cases:
            1: log_entry_sector(ofs_slot)
            2: log_data_sector
            _: unused_sector
        doc: What the slot holds.
        -webide-parse-mode: eager
      signature:
        pos: ofs_slot
        size: 4
        doc: First bytes of the slot.
      is_entry:
        value: signature == [0x6c, 0x6f, 0x67, 0x65]
        doc: Whether an entry begins here, going by the signature.
        -webide-parse-mode: lazy
      log_guid:
        pos: ofs_log_guid
        size: 16
        doc: LogGuid of the header that names the log.
      guid_of_entry:
        pos: ofs_slot + 32
        size: 16
        doc: LogGuid of the entry, if this is one.
      is_live:
        value: >-
          is_entry and guid_of_entry == log_guid and
          log_guid != [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]
        doc: Whether this is an entry that has the log's own GUID.
        -webide-parse-mode: lazy
      kind_code:
        value: 'is_entry ? 1 : signature == [0x64, 0x61, 0x74, 0x61] ? 2 : 0'
        doc: 1 for an entry, 2 for a data sector, 0 for anything else.
        -webide-parse-mode: lazy
      kind:
        value: 'is_live ? "live entry" : is_entry ? "stale entry" : kind_code == 2 ? "data sector" : "unused"'
        doc: |
          What the slot holds, for people. An entry is live when it has the
          LogGuid that the header names; it is replayed unless it is older than
          the sequence of entries that counts. Of a stale one nothing counts.
      entry_length:
        pos: ofs_slot + 8
        type: u4
        doc: Size of the entry in bytes, if this is one.
      len_entry:
        value: 'is_entry ? entry_length.as<s8> : 0'
        doc: Size of the entry in bytes, 0 when there is none.
        -webide-parse-mode: lazy
      is_entry_whole:
        value: len_entry >= 4096 and len_entry <= (end_of_log - ofs_slot)
        doc: Whether an entry is here and ends before the log does.
        -webide-parse-mode: lazy
      entry:
        pos: ofs_slot
        size: len_entry
        type: log_entry
        if: is_entry_whole
        doc: The whole entry.
  log_entry_sector:
    -webide-representation: 'sequence number {sequence_number_high:hex} {sequence_number_low:hex}, {header.num_descriptors:dec} descriptors, {header.entry_length:hex} bytes'
    doc: View; the first sector of an entry.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1.1'
    params:
      - id: ofs_sector
        type: s8
        doc: File offset of the sector in bytes.
    seq:
      - id: header
        type: log_entry_header
      - id: rest
        size: 4032
        doc: Descriptors of the entry; `entry` of the slot has all of them.
    instances:
      sequence_number_low:
        pos: ofs_sector + 16
        type: u4
        doc: Lower 32 bits of the sequence number.
        -webide-parse-mode: eager
      sequence_number_high:
        pos: ofs_sector + 20
        type: u4
        doc: Upper 32 bits of the sequence number.
        -webide-parse-mode: eager
  unused_sector:
    -webide-representation: '{signature:hex}'
    doc: 4096 bytes of the log at which neither an entry nor a data sector is.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.3.1'
    seq:
      - id: signature
        size: 4
        doc: Anything but the signatures of entries and data sectors.
      - id: rest
        size: 4092
        doc: Anything; descriptors of an entry that has many, for example.
  metadata_view:
    -webide-representation: '{num_items:dec} items in {len_region:hex} bytes at {ofs_region:hex}'
    doc: |
      View; the metadata table, and all items as far as the file has their
      entries.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6'
    params:
      - id: ofs_region_entry
        type: s8
        doc: File offset of the region's entry in the region table in bytes.
    instances:
      region:
        pos: ofs_region_entry
        type: region_table_entry
        doc: Where the region is.
      ofs_region:
        value: region.file_offset.as<s8>
        doc: File offset of the metadata region in bytes.
      len_region:
        value: region.length.as<s8>
        doc: Size of the metadata region in bytes.
      has_count:
        value: ofs_region > 0 and ofs_region <= (_io.size - 32)
        doc: Whether the file has the head of the table.
        -webide-parse-mode: lazy
      num_stated_items:
        pos: ofs_region + 10
        type: u2
        doc: The count as it is stored.
      num_possible_items:
        value: >-
          has_count ?
          (num_stated_items <= 2047 ? num_stated_items.as<s8> : 0) :
          0
        doc: The count; none when it is impossible.
        -webide-parse-mode: lazy
      end_of_possible_items:
        value: ((ofs_region + 32) + (num_possible_items * 32)).as<s8>
        doc: File offset of the end of their entries in bytes.
        -webide-parse-mode: lazy
      num_items:
        value: >-
          has_count and end_of_possible_items > _io.size ?
          (((_io.size - ofs_region) - 32) / 32).as<s8> :
          num_possible_items
        doc: Items in the table, as far as the file has their entries.
      items:
        pos: ofs_region + 32
        type: metadata_item(ofs_region, len_region)
        repeat: expr
        repeat-expr: num_items
        if: num_items > 0
        doc: The items in the order of the table.
        -webide-parse-mode: eager
      table:
        pos: ofs_region
        size: 0x10000
        type: metadata_table
        doc: The table that lists the items.
        -webide-parse-mode: eager
  metadata_item:
    -webide-representation: '{entry.kind}: {data}'
    doc: View; one entry of the metadata table with the item it stands for.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.1.2'
    params:
      - id: ofs_region
        type: s8
        doc: File offset of the metadata region in bytes.
      - id: len_region
        type: s8
        doc: Size of the metadata region in bytes.
    seq:
      - id: entry
        type: metadata_table_entry
    instances:
      ofs_item:
        value: (ofs_region + entry.offset.as<s8>).as<s8>
        doc: File offset in bytes.
        -webide-parse-mode: lazy
      len_item:
        value: entry.length.as<s8>
        doc: Bytes.
        -webide-parse-mode: lazy
      is_usable:
        value: >-
          len_item > 0 and len_item <= 0x100000 and
          ofs_item >= (ofs_region + 0x10000) and
          ofs_item <= ((ofs_region + len_region) - len_item)
        doc: Whether the item is not empty and lies inside the region.
        -webide-parse-mode: lazy
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
            _: unknown_item
        if: is_usable
        doc: The item.
        -webide-parse-mode: eager
  item_lookup:
    -webide-representation: '{entry}'
    doc: View; finds a known item in the metadata table.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.1.2'
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
        value: ((ofs_region + 32) + (num_entries * 32)).as<s8>
        doc: File offset in bytes.
        -webide-parse-mode: lazy
      up_to_item:
        pos: ofs_region + 32
        type: metadata_table_entry
        repeat: until
        repeat-until: _.kind.to_i.as<s8> == kind_code or _io.pos >= end_of_entries
        if: num_entries > 0
        doc: Entries up to the wanted one, or all of them.
      is_found:
        value: 'num_entries > 0 ? up_to_item.last.kind.to_i.as<s8> == kind_code : false'
        -webide-parse-mode: lazy
      num_passed:
        value: 'is_found ? (up_to_item.size - 1).as<s8> : 0'
        doc: Entries before the wanted one.
        -webide-parse-mode: lazy
      entry:
        pos: (ofs_region + 32) + (num_passed * 32)
        type: metadata_table_entry
        if: is_found
        doc: The wanted entry.
        -webide-parse-mode: eager
      offset:
        value: 'is_found ? up_to_item.last.offset.as<s8> : 0'
        doc: Bytes from the start of the metadata region.
        -webide-parse-mode: lazy
      length:
        value: 'is_found ? up_to_item.last.length.as<s8> : 0'
        doc: Bytes.
        -webide-parse-mode: lazy
      ofs_item:
        value: (ofs_region + offset).as<s8>
        doc: File offset in bytes.
        -webide-parse-mode: lazy
      is_usable:
        value: >-
          length > 0 and offset >= 0x10000 and
          offset <= (len_region - length) and
          ofs_item <= (_io.size - 8)
        doc: Whether the item is there and lies inside region and file.
        -webide-parse-mode: lazy
  disk_geometry:
    -webide-representation: '{disk_size:dec} bytes in blocks of {block_size:hex}, possible: {is_possible}'
    doc: |
      View; what the metadata says of the shape of the BAT. 0 stands for absent
      or impossible.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.6.2'
    params:
      - id: ofs_region_entry
        type: s8
        doc: |
          File offset of the entry of the metadata region in the region table in
          bytes.
    instances:
      metadata:
        pos: 0
        type: metadata_view(ofs_region_entry)
      ofs_region:
        value: metadata.ofs_region
        doc: File offset of the metadata region in bytes.
        -webide-parse-mode: lazy
      len_region:
        value: metadata.len_region
        doc: Size of the metadata region in bytes.
        -webide-parse-mode: lazy
      num_items:
        value: metadata.num_items
        doc: Items in the table.
        -webide-parse-mode: lazy
      file_parameters_place:
        pos: 0
        type: item_lookup(ofs_region, len_region, num_items, item_kind::file_parameters.to_i.as<s8>)
      virtual_disk_size_place:
        pos: 0
        type: item_lookup(ofs_region, len_region, num_items, item_kind::virtual_disk_size.to_i.as<s8>)
      logical_sector_size_place:
        pos: 0
        type: item_lookup(ofs_region, len_region, num_items, item_kind::logical_sector_size.to_i.as<s8>)
      file_parameters_item:
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
        value: 'file_parameters_place.is_usable ? file_parameters_item.block_size.as<s8> : 0'
        doc: Bytes.
      has_parent:
        value: 'file_parameters_place.is_usable ? file_parameters_item.has_parent : false'
        doc: Whether the disk is a differencing disk.
      disk_size:
        value: 'virtual_disk_size_place.is_usable ? virtual_disk_size_item.virtual_disk_size.as<s8> : 0'
        doc: Bytes.
      sector_size:
        value: 'logical_sector_size_place.is_usable ? logical_sector_size_item.logical_sector_size.as<s8> : 0'
        doc: Bytes.
      is_possible:
        value: >-
          (block_size >= 0x100000 and block_size <= 0x10000000) and
          (sector_size == 512 or sector_size == 4096) and
          (disk_size > 0 and disk_size <= 0x400000000000.as<s8>)
        doc: |
          Whether sizes are present and within the limits of the format, so that
          they may be used as counts.
      num_payload_blocks:
        value: 'is_possible ? (((disk_size - 1).as<s8> / block_size) + 1).as<s8> : 0'
        doc: Payload blocks of the disk, at most 2^26.
      chunk_ratio:
        value: 'is_possible ? ((0x800000.as<s8> * sector_size).as<s8> / block_size).as<s8> : 0'
        doc: Payload blocks per chunk, i.e. per sector bitmap block.
  bat_view:
    -webide-representation: '{num_payload_blocks:dec} payload blocks in {num_chunks:dec} chunks at {ofs_region:hex}'
    doc: |
      View; the BAT in chunks. A chunk is the part of the disk that one sector
      bitmap block describes, 2^23 sectors; its entries are `chunk_ratio`
      payload entries and then the entry of the sector bitmap. The layout is the
      same for fixed, dynamic and differencing disks.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.5'
    params:
      - id: ofs_region_entry
        type: s8
        doc: File offset of the entry of the BAT in the region table in bytes.
      - id: ofs_metadata_entry
        type: s8
        doc: |
          File offset of the entry of the metadata region in the region table in
          bytes.
    instances:
      region:
        pos: ofs_region_entry
        type: region_table_entry
        doc: Where the BAT is.
      geometry:
        pos: 0
        type: disk_geometry(ofs_metadata_entry)
        doc: What decides how many entries the BAT has.
        -webide-parse-mode: eager
      ofs_region:
        value: region.file_offset.as<s8>
        doc: File offset of the BAT in bytes.
      block_size:
        value: geometry.block_size
        doc: Size of a payload block in bytes.
      num_payload_blocks:
        value: geometry.num_payload_blocks
        doc: Payload blocks of the disk.
      chunk_ratio:
        value: geometry.chunk_ratio
        doc: Payload blocks per chunk.
      has_parent:
        value: geometry.has_parent
        doc: Whether the disk is a differencing disk.
      num_chunks:
        value: >-
          num_payload_blocks > 0 and chunk_ratio > 0 ?
          (((num_payload_blocks - 1) / chunk_ratio) + 1).as<s8> :
          0
        doc: Chunks of the disk, at most 16384.
      chunks:
        pos: 0
        type: >-
          bat_chunk(
            (ofs_region + ((_index.as<s8> * (chunk_ratio + 1)) * 8)),
            (_index.as<s8> * chunk_ratio),
            num_payload_blocks,
            chunk_ratio,
            block_size,
            has_parent
          )
        repeat: expr
        repeat-expr: num_chunks
  bat_chunk:
    -webide-representation: '{num_entries:dec} payload blocks from {first_block:dec} on'
    doc: View; the entries of one chunk, and the blocks they place.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.5'
    params:
      - id: ofs_entries
        type: s8
        doc: File offset of the chunk's first entry in bytes.
      - id: first_block
        type: s8
        doc: Number of the chunk's first payload block.
      - id: num_disk_blocks
        type: s8
        doc: Payload blocks of the disk.
      - id: chunk_ratio
        type: s8
        doc: Payload blocks per chunk.
      - id: block_size
        type: s8
        doc: Size of a payload block in bytes.
      - id: has_parent
        type: bool
        doc: Whether the disk is a differencing disk.
    instances:
      num_entries:
        value: '(num_disk_blocks - first_block) < chunk_ratio ? (num_disk_blocks - first_block).as<s8> : chunk_ratio'
        doc: |
          Payload entries of the chunk; the last chunk may have fewer than the
          others.
      num_payload_blocks:
        value: >-
          ofs_entries > 0 and ofs_entries <= _io.size ?
          ((ofs_entries + (num_entries * 8)).as<s8> <= _io.size ? num_entries :
          ((_io.size - ofs_entries) / 8).as<s8>) :
          0
        doc: Payload blocks whose entries the file has.
        -webide-parse-mode: lazy
      len_raw_entries:
        value: num_payload_blocks * 8
        doc: Bytes of these.
        -webide-parse-mode: lazy
      has_sector_bitmap_entry:
        value: >-
          (has_parent or (num_disk_blocks - first_block) > chunk_ratio) and
          ofs_entries > 0 and ofs_sector_bitmap_entry <= (_io.size - 8)
        doc: |
          The last chunk of a fixed or dynamic disk has none, and none is where
          the file has ended.
        -webide-parse-mode: lazy
      raw_entries:
        pos: ofs_entries
        size: len_raw_entries
        if: num_payload_blocks > 0
        doc: The payload entries as bytes, for programs that read them in bulk.
      payload_blocks:
        pos: ofs_entries
        type: payload_block((ofs_entries + (_index.as<s8> * 8)), block_size)
        repeat: expr
        repeat-expr: num_payload_blocks
        if: num_payload_blocks > 0
      ofs_sector_bitmap_entry:
        value: (ofs_entries + (chunk_ratio * 8)).as<s8>
        doc: File offset in bytes.
        -webide-parse-mode: lazy
      sector_bitmap:
        pos: ofs_sector_bitmap_entry
        type: sector_bitmap_block(ofs_sector_bitmap_entry)
        if: has_sector_bitmap_entry
  payload_block:
    -webide-representation: '{entry}'
    doc: View; one payload block with its entry in the BAT.
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.5.1.1'
    params:
      - id: ofs_entry
        type: s8
        doc: File offset of the entry in bytes.
      - id: len_data
        type: s8
        doc: Size of the block in bytes.
    seq:
      - id: raw_entry
        size: 8
        doc: The entry's bytes.
    instances:
      entry:
        pos: ofs_entry
        type: payload_bat_entry
        -webide-parse-mode: eager
      is_stored:
        value: entry.is_stored
        doc: Whether the state says that the block is in this file.
        -webide-parse-mode: lazy
      file_offset_mb:
        value: entry.file_offset_mb
        doc: Where the block is, in MiB from the start of the file.
        -webide-parse-mode: lazy
      has_data:
        value: >-
          is_stored and len_data <= _io.size and
          file_offset_mb <= ((_io.size - len_data) / 0x100000).as<s8>
        doc: Whether the block is stored and lies inside the file.
      data:
        pos: file_offset_mb * 0x100000
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
    doc-ref: 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477 [MS-VHDX] 2.4'
    params:
      - id: ofs_entry
        type: s8
        doc: File offset of the entry in bytes.
    seq:
      - id: raw_entry
        size: 8
        doc: The entry's bytes.
    instances:
      entry:
        pos: ofs_entry
        type: sector_bitmap_bat_entry
        -webide-parse-mode: eager
      is_stored:
        value: entry.is_stored
        doc: Whether the state says that the bitmap is in this file.
        -webide-parse-mode: lazy
      file_offset_mb:
        value: entry.file_offset_mb
        doc: Where the bitmap is, in MiB from the start of the file.
        -webide-parse-mode: lazy
      has_data:
        value: >-
          is_stored and _io.size >= 0x100000 and
          file_offset_mb <= ((_io.size - 0x100000) / 0x100000).as<s8>
        doc: Whether the bitmap is stored and lies inside the file.
      data:
        pos: file_offset_mb * 0x100000
        size: 0x100000
        if: has_data
        doc: The bitmap.
enums:
  region_kind:
    0:
      id: other_region
      doc: Not named by the specification.
    1:
      id: bat_region
      -orig-id: BAT
    2:
      id: metadata_region
      -orig-id: Metadata region
  descriptor_kind:
    0:
      id: other_descriptor
      doc: Neither signature.
    1:
      id: zero_descriptor
      -orig-id: Zero Descriptor
    2:
      id: data_descriptor
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
      id: bitmap_not_present
      -orig-id: SB_BLOCK_NOT_PRESENT
    6:
      id: bitmap_present
      -orig-id: SB_BLOCK_PRESENT
