# This is a generated file! Please edit source .ksy file and use kaitai-struct-compiler to rebuild
# type: ignore

import kaitaistruct
from kaitaistruct import KaitaiStruct, KaitaiStream, BytesIO
from enum import IntEnum


if getattr(kaitaistruct, 'API_VERSION', (0, 9)) < (0, 11):
    raise Exception("Incompatible Kaitai Struct Python API: 0.11 or later is required, but you have %s" % (kaitaistruct.__version__))

class Vhdx(KaitaiStruct):
    """A VHDX file holds one virtual hard disk of up to 64 TiB for Hyper-V and
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
    
    .. seealso::
       Source - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
    """

    class DescriptorKind(IntEnum):
        other_descriptor = 0
        zero_descriptor = 1
        data_descriptor = 2

    class ItemKind(IntEnum):
        other = 0
        file_parameters = 1
        virtual_disk_size = 2
        virtual_disk_id = 3
        logical_sector_size = 4
        physical_sector_size = 5
        parent_locator = 6

    class PayloadBlockState(IntEnum):
        not_present = 0
        undefined = 1
        zero = 2
        unmapped = 3
        fully_present = 6
        partially_present = 7

    class RegionKind(IntEnum):
        other_region = 0
        bat_region = 1
        metadata_region = 2

    class SectorBitmapState(IntEnum):
        bitmap_not_present = 0
        bitmap_present = 6
    def __init__(self, _io, _parent=None, _root=None):
        super(Vhdx, self).__init__(_io)
        self._parent = _parent
        self._root = _root or self
        self._read()

    def _read(self):
        self.file_identifier = Vhdx.FileTypeIdentifier(self._io, self, self._root)


    def _fetch_instances(self):
        pass
        self.file_identifier._fetch_instances()
        _ = self.bat
        if hasattr(self, '_m_bat'):
            pass
            self._m_bat._fetch_instances()

        _ = self.current_header
        if hasattr(self, '_m_current_header'):
            pass
            self._m_current_header._fetch_instances()

        _ = self.current_region_table
        if hasattr(self, '_m_current_region_table'):
            pass
            self._m_current_region_table._fetch_instances()

        _ = self.header_1
        if hasattr(self, '_m_header_1'):
            pass
            self._m_header_1._fetch_instances()

        _ = self.header_2
        if hasattr(self, '_m_header_2'):
            pass
            self._m_header_2._fetch_instances()

        _ = self.log
        if hasattr(self, '_m_log'):
            pass
            self._m_log._fetch_instances()

        _ = self.metadata
        if hasattr(self, '_m_metadata'):
            pass
            self._m_metadata._fetch_instances()

        _ = self.region_of_bat
        if hasattr(self, '_m_region_of_bat'):
            pass
            self._m_region_of_bat._fetch_instances()

        _ = self.region_of_metadata
        if hasattr(self, '_m_region_of_metadata'):
            pass
            self._m_region_of_metadata._fetch_instances()

        _ = self.region_table_1
        if hasattr(self, '_m_region_table_1'):
            pass
            self._m_region_table_1._fetch_instances()

        _ = self.region_table_2
        if hasattr(self, '_m_region_table_2'):
            pass
            self._m_region_table_2._fetch_instances()


    class BatChunk(KaitaiStruct):
        """View; the entries of one chunk, and the blocks they place.
        
        .. seealso::
           [MS-VHDX] 2.5 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_entries, first_block, num_disk_blocks, chunk_ratio, block_size, has_parent, _io, _parent=None, _root=None):
            super(Vhdx.BatChunk, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_entries = ofs_entries
            self.first_block = first_block
            self.num_disk_blocks = num_disk_blocks
            self.chunk_ratio = chunk_ratio
            self.block_size = block_size
            self.has_parent = has_parent
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.payload_blocks
            if hasattr(self, '_m_payload_blocks'):
                pass
                for i in range(len(self._m_payload_blocks)):
                    pass
                    self._m_payload_blocks[i]._fetch_instances()


            _ = self.raw_entries
            if hasattr(self, '_m_raw_entries'):
                pass

            _ = self.sector_bitmap
            if hasattr(self, '_m_sector_bitmap'):
                pass
                self._m_sector_bitmap._fetch_instances()


        @property
        def has_sector_bitmap_entry(self):
            """The last chunk of a fixed or dynamic disk has none, and none is where
            the file has ended.
            """
            if hasattr(self, '_m_has_sector_bitmap_entry'):
                return self._m_has_sector_bitmap_entry

            self._m_has_sector_bitmap_entry =  (( ((self.has_parent) or (self.num_disk_blocks - self.first_block > self.chunk_ratio)) ) and (self.ofs_entries > 0) and (self.ofs_sector_bitmap_entry <= self._io.size() - 8)) 
            return getattr(self, '_m_has_sector_bitmap_entry', None)

        @property
        def len_raw_entries(self):
            """Bytes of these."""
            if hasattr(self, '_m_len_raw_entries'):
                return self._m_len_raw_entries

            self._m_len_raw_entries = self.num_payload_blocks * 8
            return getattr(self, '_m_len_raw_entries', None)

        @property
        def num_entries(self):
            """Payload entries of the chunk; the last chunk may have fewer than the
            others.
            """
            if hasattr(self, '_m_num_entries'):
                return self._m_num_entries

            self._m_num_entries = ((self.num_disk_blocks - self.first_block) if self.num_disk_blocks - self.first_block < self.chunk_ratio else self.chunk_ratio)
            return getattr(self, '_m_num_entries', None)

        @property
        def num_payload_blocks(self):
            """Payload blocks whose entries the file has."""
            if hasattr(self, '_m_num_payload_blocks'):
                return self._m_num_payload_blocks

            self._m_num_payload_blocks = ((self.num_entries if (self.ofs_entries + self.num_entries * 8) <= self._io.size() else ((self._io.size() - self.ofs_entries) // 8)) if  ((self.ofs_entries > 0) and (self.ofs_entries <= self._io.size()))  else 0)
            return getattr(self, '_m_num_payload_blocks', None)

        @property
        def ofs_sector_bitmap_entry(self):
            """File offset in bytes."""
            if hasattr(self, '_m_ofs_sector_bitmap_entry'):
                return self._m_ofs_sector_bitmap_entry

            self._m_ofs_sector_bitmap_entry = (self.ofs_entries + self.chunk_ratio * 8)
            return getattr(self, '_m_ofs_sector_bitmap_entry', None)

        @property
        def payload_blocks(self):
            if hasattr(self, '_m_payload_blocks'):
                return self._m_payload_blocks

            if self.num_payload_blocks > 0:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_entries)
                self._m_payload_blocks = []
                for i in range(self.num_payload_blocks):
                    self._m_payload_blocks.append(Vhdx.PayloadBlock(self.ofs_entries + i * 8, self.block_size, self._io, self, self._root))

                self._io.seek(_pos)

            return getattr(self, '_m_payload_blocks', None)

        @property
        def raw_entries(self):
            """The payload entries as bytes, for programs that read them in bulk."""
            if hasattr(self, '_m_raw_entries'):
                return self._m_raw_entries

            if self.num_payload_blocks > 0:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_entries)
                self._m_raw_entries = self._io.read_bytes(self.len_raw_entries)
                self._io.seek(_pos)

            return getattr(self, '_m_raw_entries', None)

        @property
        def sector_bitmap(self):
            if hasattr(self, '_m_sector_bitmap'):
                return self._m_sector_bitmap

            if self.has_sector_bitmap_entry:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_sector_bitmap_entry)
                self._m_sector_bitmap = Vhdx.SectorBitmapBlock(self.ofs_sector_bitmap_entry, self._io, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_sector_bitmap', None)


    class BatView(KaitaiStruct):
        """View; the BAT in chunks. A chunk is the part of the disk that one sector
        bitmap block describes, 2^23 sectors; its entries are `chunk_ratio`
        payload entries and then the entry of the sector bitmap. The layout is the
        same for fixed, dynamic and differencing disks.
        
        .. seealso::
           [MS-VHDX] 2.5 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_region_entry, ofs_metadata_entry, _io, _parent=None, _root=None):
            super(Vhdx.BatView, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_region_entry = ofs_region_entry
            self.ofs_metadata_entry = ofs_metadata_entry
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.chunks
            if hasattr(self, '_m_chunks'):
                pass
                for i in range(len(self._m_chunks)):
                    pass
                    self._m_chunks[i]._fetch_instances()


            _ = self.geometry
            if hasattr(self, '_m_geometry'):
                pass
                self._m_geometry._fetch_instances()

            _ = self.region
            if hasattr(self, '_m_region'):
                pass
                self._m_region._fetch_instances()


        @property
        def block_size(self):
            """Size of a payload block in bytes."""
            if hasattr(self, '_m_block_size'):
                return self._m_block_size

            self._m_block_size = self.geometry.block_size
            return getattr(self, '_m_block_size', None)

        @property
        def chunk_ratio(self):
            """Payload blocks per chunk."""
            if hasattr(self, '_m_chunk_ratio'):
                return self._m_chunk_ratio

            self._m_chunk_ratio = self.geometry.chunk_ratio
            return getattr(self, '_m_chunk_ratio', None)

        @property
        def chunks(self):
            if hasattr(self, '_m_chunks'):
                return self._m_chunks

            _pos = self._io.pos()
            self._io.seek(0)
            self._m_chunks = []
            for i in range(self.num_chunks):
                self._m_chunks.append(Vhdx.BatChunk(self.ofs_region + (i * (self.chunk_ratio + 1)) * 8, i * self.chunk_ratio, self.num_payload_blocks, self.chunk_ratio, self.block_size, self.has_parent, self._io, self, self._root))

            self._io.seek(_pos)
            return getattr(self, '_m_chunks', None)

        @property
        def geometry(self):
            """What decides how many entries the BAT has."""
            if hasattr(self, '_m_geometry'):
                return self._m_geometry

            _pos = self._io.pos()
            self._io.seek(0)
            self._m_geometry = Vhdx.DiskGeometry(self.ofs_metadata_entry, self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_geometry', None)

        @property
        def has_parent(self):
            """Whether the disk is a differencing disk."""
            if hasattr(self, '_m_has_parent'):
                return self._m_has_parent

            self._m_has_parent = self.geometry.has_parent
            return getattr(self, '_m_has_parent', None)

        @property
        def num_chunks(self):
            """Chunks of the disk, at most 16384."""
            if hasattr(self, '_m_num_chunks'):
                return self._m_num_chunks

            self._m_num_chunks = (((self.num_payload_blocks - 1) // self.chunk_ratio + 1) if  ((self.num_payload_blocks > 0) and (self.chunk_ratio > 0))  else 0)
            return getattr(self, '_m_num_chunks', None)

        @property
        def num_payload_blocks(self):
            """Payload blocks of the disk."""
            if hasattr(self, '_m_num_payload_blocks'):
                return self._m_num_payload_blocks

            self._m_num_payload_blocks = self.geometry.num_payload_blocks
            return getattr(self, '_m_num_payload_blocks', None)

        @property
        def ofs_region(self):
            """File offset of the BAT in bytes."""
            if hasattr(self, '_m_ofs_region'):
                return self._m_ofs_region

            self._m_ofs_region = self.region.file_offset
            return getattr(self, '_m_ofs_region', None)

        @property
        def region(self):
            """Where the BAT is."""
            if hasattr(self, '_m_region'):
                return self._m_region

            _pos = self._io.pos()
            self._io.seek(self.ofs_region_entry)
            self._m_region = Vhdx.RegionTableEntry(self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_region', None)


    class DataDescriptorBody(KaitaiStruct):
        """Part of a descriptor that brings data. The data sector lacks these 12
        bytes of the update.
        
        .. seealso::
           [MS-VHDX] 2.3.1.3 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.DataDescriptorBody, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.trailing_bytes = self._io.read_bytes(4)
            self.leading_bytes = self._io.read_bytes(8)


        def _fetch_instances(self):
            pass


    class DiskGeometry(KaitaiStruct):
        """View; what the metadata says of the shape of the BAT. 0 stands for absent
        or impossible.
        
        .. seealso::
           [MS-VHDX] 2.6.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_region_entry, _io, _parent=None, _root=None):
            super(Vhdx.DiskGeometry, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_region_entry = ofs_region_entry
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.file_parameters_item
            if hasattr(self, '_m_file_parameters_item'):
                pass
                self._m_file_parameters_item._fetch_instances()

            _ = self.file_parameters_place
            if hasattr(self, '_m_file_parameters_place'):
                pass
                self._m_file_parameters_place._fetch_instances()

            _ = self.logical_sector_size_item
            if hasattr(self, '_m_logical_sector_size_item'):
                pass
                self._m_logical_sector_size_item._fetch_instances()

            _ = self.logical_sector_size_place
            if hasattr(self, '_m_logical_sector_size_place'):
                pass
                self._m_logical_sector_size_place._fetch_instances()

            _ = self.metadata
            if hasattr(self, '_m_metadata'):
                pass
                self._m_metadata._fetch_instances()

            _ = self.virtual_disk_size_item
            if hasattr(self, '_m_virtual_disk_size_item'):
                pass
                self._m_virtual_disk_size_item._fetch_instances()

            _ = self.virtual_disk_size_place
            if hasattr(self, '_m_virtual_disk_size_place'):
                pass
                self._m_virtual_disk_size_place._fetch_instances()


        @property
        def block_size(self):
            """Bytes."""
            if hasattr(self, '_m_block_size'):
                return self._m_block_size

            self._m_block_size = (self.file_parameters_item.block_size if self.file_parameters_place.is_usable else 0)
            return getattr(self, '_m_block_size', None)

        @property
        def chunk_ratio(self):
            """Payload blocks per chunk, i.e. per sector bitmap block."""
            if hasattr(self, '_m_chunk_ratio'):
                return self._m_chunk_ratio

            self._m_chunk_ratio = (((8388608 * self.sector_size) // self.block_size) if self.is_possible else 0)
            return getattr(self, '_m_chunk_ratio', None)

        @property
        def disk_size(self):
            """Bytes."""
            if hasattr(self, '_m_disk_size'):
                return self._m_disk_size

            self._m_disk_size = (self.virtual_disk_size_item.virtual_disk_size if self.virtual_disk_size_place.is_usable else 0)
            return getattr(self, '_m_disk_size', None)

        @property
        def file_parameters_item(self):
            if hasattr(self, '_m_file_parameters_item'):
                return self._m_file_parameters_item

            if self.file_parameters_place.is_usable:
                pass
                _pos = self._io.pos()
                self._io.seek(self.file_parameters_place.ofs_item)
                self._raw__m_file_parameters_item = self._io.read_bytes(8)
                _io__raw__m_file_parameters_item = KaitaiStream(BytesIO(self._raw__m_file_parameters_item))
                self._m_file_parameters_item = Vhdx.FileParametersItem(_io__raw__m_file_parameters_item, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_file_parameters_item', None)

        @property
        def file_parameters_place(self):
            if hasattr(self, '_m_file_parameters_place'):
                return self._m_file_parameters_place

            _pos = self._io.pos()
            self._io.seek(0)
            self._m_file_parameters_place = Vhdx.ItemLookup(self.ofs_region, self.len_region, self.num_items, int(Vhdx.ItemKind.file_parameters), self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_file_parameters_place', None)

        @property
        def has_parent(self):
            """Whether the disk is a differencing disk."""
            if hasattr(self, '_m_has_parent'):
                return self._m_has_parent

            self._m_has_parent = (self.file_parameters_item.has_parent if self.file_parameters_place.is_usable else False)
            return getattr(self, '_m_has_parent', None)

        @property
        def is_possible(self):
            """Whether sizes are present and within the limits of the format, so that
            they may be used as counts.
            """
            if hasattr(self, '_m_is_possible'):
                return self._m_is_possible

            self._m_is_possible =  (( ((self.block_size >= 1048576) and (self.block_size <= 268435456)) ) and ( ((self.sector_size == 512) or (self.sector_size == 4096)) ) and ( ((self.disk_size > 0) and (self.disk_size <= 70368744177664)) )) 
            return getattr(self, '_m_is_possible', None)

        @property
        def len_region(self):
            """Size of the metadata region in bytes."""
            if hasattr(self, '_m_len_region'):
                return self._m_len_region

            self._m_len_region = self.metadata.len_region
            return getattr(self, '_m_len_region', None)

        @property
        def logical_sector_size_item(self):
            if hasattr(self, '_m_logical_sector_size_item'):
                return self._m_logical_sector_size_item

            if self.logical_sector_size_place.is_usable:
                pass
                _pos = self._io.pos()
                self._io.seek(self.logical_sector_size_place.ofs_item)
                self._raw__m_logical_sector_size_item = self._io.read_bytes(4)
                _io__raw__m_logical_sector_size_item = KaitaiStream(BytesIO(self._raw__m_logical_sector_size_item))
                self._m_logical_sector_size_item = Vhdx.LogicalSectorSizeItem(_io__raw__m_logical_sector_size_item, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_logical_sector_size_item', None)

        @property
        def logical_sector_size_place(self):
            if hasattr(self, '_m_logical_sector_size_place'):
                return self._m_logical_sector_size_place

            _pos = self._io.pos()
            self._io.seek(0)
            self._m_logical_sector_size_place = Vhdx.ItemLookup(self.ofs_region, self.len_region, self.num_items, int(Vhdx.ItemKind.logical_sector_size), self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_logical_sector_size_place', None)

        @property
        def metadata(self):
            if hasattr(self, '_m_metadata'):
                return self._m_metadata

            _pos = self._io.pos()
            self._io.seek(0)
            self._m_metadata = Vhdx.MetadataView(self.ofs_region_entry, self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_metadata', None)

        @property
        def num_items(self):
            """Items in the table."""
            if hasattr(self, '_m_num_items'):
                return self._m_num_items

            self._m_num_items = self.metadata.num_items
            return getattr(self, '_m_num_items', None)

        @property
        def num_payload_blocks(self):
            """Payload blocks of the disk, at most 2^26."""
            if hasattr(self, '_m_num_payload_blocks'):
                return self._m_num_payload_blocks

            self._m_num_payload_blocks = (((self.disk_size - 1) // self.block_size + 1) if self.is_possible else 0)
            return getattr(self, '_m_num_payload_blocks', None)

        @property
        def ofs_region(self):
            """File offset of the metadata region in bytes."""
            if hasattr(self, '_m_ofs_region'):
                return self._m_ofs_region

            self._m_ofs_region = self.metadata.ofs_region
            return getattr(self, '_m_ofs_region', None)

        @property
        def sector_size(self):
            """Bytes."""
            if hasattr(self, '_m_sector_size'):
                return self._m_sector_size

            self._m_sector_size = (self.logical_sector_size_item.logical_sector_size if self.logical_sector_size_place.is_usable else 0)
            return getattr(self, '_m_sector_size', None)

        @property
        def virtual_disk_size_item(self):
            if hasattr(self, '_m_virtual_disk_size_item'):
                return self._m_virtual_disk_size_item

            if self.virtual_disk_size_place.is_usable:
                pass
                _pos = self._io.pos()
                self._io.seek(self.virtual_disk_size_place.ofs_item)
                self._raw__m_virtual_disk_size_item = self._io.read_bytes(8)
                _io__raw__m_virtual_disk_size_item = KaitaiStream(BytesIO(self._raw__m_virtual_disk_size_item))
                self._m_virtual_disk_size_item = Vhdx.VirtualDiskSizeItem(_io__raw__m_virtual_disk_size_item, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_virtual_disk_size_item', None)

        @property
        def virtual_disk_size_place(self):
            if hasattr(self, '_m_virtual_disk_size_place'):
                return self._m_virtual_disk_size_place

            _pos = self._io.pos()
            self._io.seek(0)
            self._m_virtual_disk_size_place = Vhdx.ItemLookup(self.ofs_region, self.len_region, self.num_items, int(Vhdx.ItemKind.virtual_disk_size), self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_virtual_disk_size_place', None)


    class FileParametersItem(KaitaiStruct):
        """How the disk is stored.
        
        .. seealso::
           [MS-VHDX] 2.6.2.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.FileParametersItem, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.block_size = self._io.read_u4le()
            self.leave_block_allocated = self._io.read_bits_int_le(1) != 0
            self.has_parent = self._io.read_bits_int_le(1) != 0
            self.reserved = self._io.read_bits_int_le(30)


        def _fetch_instances(self):
            pass


    class FileTypeIdentifier(KaitaiStruct):
        """The first 64 KiB of the file. The signature tells a VHDX file from others;
        the creator is for diagnosis only and must not influence behaviour.
        
        .. seealso::
           [MS-VHDX] 2.2.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.FileTypeIdentifier, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.signature = self._io.read_bytes(8)
            if not self.signature == b"\x76\x68\x64\x78\x66\x69\x6C\x65":
                raise kaitaistruct.ValidationNotEqualError(b"\x76\x68\x64\x78\x66\x69\x6C\x65", self.signature, self._io, u"/types/file_type_identifier/seq/0")
            self.raw_creator = self._io.read_bytes(512)


        def _fetch_instances(self):
            pass
            _ = self.creator
            if hasattr(self, '_m_creator'):
                pass
                self._m_creator._fetch_instances()

            _ = self.reserved
            if hasattr(self, '_m_reserved'):
                pass


        @property
        def creator(self):
            """Creator as text."""
            if hasattr(self, '_m_creator'):
                return self._m_creator

            _pos = self._io.pos()
            self._io.seek(8)
            self._raw__m_creator = self._io.read_bytes(512)
            _io__raw__m_creator = KaitaiStream(BytesIO(self._raw__m_creator))
            self._m_creator = Vhdx.Utf16Field(_io__raw__m_creator, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_creator', None)

        @property
        def reserved(self):
            """Reserved; to be ignored. Not part of `seq`, so that nobody has to read
            it.
            """
            if hasattr(self, '_m_reserved'):
                return self._m_reserved

            _pos = self._io.pos()
            self._io.seek(520)
            self._m_reserved = self._io.read_bytes(65016)
            self._io.seek(_pos)
            return getattr(self, '_m_reserved', None)


    class Guid(KaitaiStruct):
        """A GUID in binary form: the first three groups are little-endian, the last
        eight bytes stand in the order of the text form.
        
        .. seealso::
           [MS-VHDX] 2.2.3.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.Guid, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.raw = self._io.read_bytes(16)


        def _fetch_instances(self):
            pass


    class Header(KaitaiStruct):
        """One of two copies. A copy is valid when its signature and its checksum are
        right; the valid copy with the greater sequence number is the current
        header. JavaScript rounds numbers above 2^53; the two halves of the
        sequence number are exact.
        
        .. seealso::
           [MS-VHDX] 2.2.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.Header, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.signature = self._io.read_bytes(4)
            self.checksum = self._io.read_u4le()
            self.sequence_number = self._io.read_u8le()
            self.file_write_guid = Vhdx.Guid(self._io, self, self._root)
            self.data_write_guid = Vhdx.Guid(self._io, self, self._root)
            self.log_guid = Vhdx.Guid(self._io, self, self._root)
            self.log_version = self._io.read_u2le()
            self.version = self._io.read_u2le()
            self.log_length = self._io.read_u4le()
            self.log_offset = self._io.read_u8le()
            self.reserved = self._io.read_bytes(4016)


        def _fetch_instances(self):
            pass
            self.file_write_guid._fetch_instances()
            self.data_write_guid._fetch_instances()
            self.log_guid._fetch_instances()
            _ = self.sequence_number_high
            if hasattr(self, '_m_sequence_number_high'):
                pass

            _ = self.sequence_number_low
            if hasattr(self, '_m_sequence_number_low'):
                pass


        @property
        def is_signature_valid(self):
            """Whether the signature is right. The checksum is not looked at."""
            if hasattr(self, '_m_is_signature_valid'):
                return self._m_is_signature_valid

            self._m_is_signature_valid = self.signature == b"\x68\x65\x61\x64"
            return getattr(self, '_m_is_signature_valid', None)

        @property
        def rank_high(self):
            """Upper 32 bits of the sequence number of a copy with the right
            signature, otherwise -1.
            """
            if hasattr(self, '_m_rank_high'):
                return self._m_rank_high

            self._m_rank_high = (self.sequence_number_high if self.is_signature_valid else -(1))
            return getattr(self, '_m_rank_high', None)

        @property
        def sequence_number_high(self):
            """Upper 32 bits of the sequence number."""
            if hasattr(self, '_m_sequence_number_high'):
                return self._m_sequence_number_high

            _pos = self._io.pos()
            self._io.seek(12)
            self._m_sequence_number_high = self._io.read_u4le()
            self._io.seek(_pos)
            return getattr(self, '_m_sequence_number_high', None)

        @property
        def sequence_number_low(self):
            """Lower 32 bits of the sequence number, to compare it where a number has
            fewer than 64 bits or a sign.
            """
            if hasattr(self, '_m_sequence_number_low'):
                return self._m_sequence_number_low

            _pos = self._io.pos()
            self._io.seek(8)
            self._m_sequence_number_low = self._io.read_u4le()
            self._io.seek(_pos)
            return getattr(self, '_m_sequence_number_low', None)


    class HeaderChoice(KaitaiStruct):
        """View; the copy of the header with the right signature and the greater
        sequence number. The real choice needs the checksums.
        
        .. seealso::
           [MS-VHDX] 2.2.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_header_1, ofs_header_2, _io, _parent=None, _root=None):
            super(Vhdx.HeaderChoice, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_header_1 = ofs_header_1
            self.ofs_header_2 = ofs_header_2
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.header_1
            if hasattr(self, '_m_header_1'):
                pass
                self._m_header_1._fetch_instances()

            _ = self.header_2
            if hasattr(self, '_m_header_2'):
                pass
                self._m_header_2._fetch_instances()


        @property
        def chosen(self):
            """The copy, for people."""
            if hasattr(self, '_m_chosen'):
                return self._m_chosen

            self._m_chosen = ((u"header 2" if self.is_second else u"header 1") if self.is_found else u"no header")
            return getattr(self, '_m_chosen', None)

        @property
        def has_header_1(self):
            if hasattr(self, '_m_has_header_1'):
                return self._m_has_header_1

            self._m_has_header_1 = self._io.size() >= self.ofs_header_1 + 4096
            return getattr(self, '_m_has_header_1', None)

        @property
        def has_header_2(self):
            if hasattr(self, '_m_has_header_2'):
                return self._m_has_header_2

            self._m_has_header_2 = self._io.size() >= self.ofs_header_2 + 4096
            return getattr(self, '_m_has_header_2', None)

        @property
        def header_1(self):
            if hasattr(self, '_m_header_1'):
                return self._m_header_1

            if self.has_header_1:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_header_1)
                self._raw__m_header_1 = self._io.read_bytes(4096)
                _io__raw__m_header_1 = KaitaiStream(BytesIO(self._raw__m_header_1))
                self._m_header_1 = Vhdx.Header(_io__raw__m_header_1, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_header_1', None)

        @property
        def header_2(self):
            if hasattr(self, '_m_header_2'):
                return self._m_header_2

            if self.has_header_2:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_header_2)
                self._raw__m_header_2 = self._io.read_bytes(4096)
                _io__raw__m_header_2 = KaitaiStream(BytesIO(self._raw__m_header_2))
                self._m_header_2 = Vhdx.Header(_io__raw__m_header_2, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_header_2', None)

        @property
        def is_found(self):
            if hasattr(self, '_m_is_found'):
                return self._m_is_found

            self._m_is_found =  ((self.rank_1_high >= 0) or (self.rank_2_high >= 0)) 
            return getattr(self, '_m_is_found', None)

        @property
        def is_second(self):
            if hasattr(self, '_m_is_second'):
                return self._m_is_second

            self._m_is_second =  ((self.is_found) and ( ((self.rank_2_high > self.rank_1_high) or ( ((self.rank_2_high >= self.rank_1_high) and (self.rank_2_low > self.rank_1_low)) )) )) 
            return getattr(self, '_m_is_second', None)

        @property
        def ofs_header(self):
            """File offset of this copy in bytes; of the first when there is none."""
            if hasattr(self, '_m_ofs_header'):
                return self._m_ofs_header

            self._m_ofs_header = (self.ofs_header_2 if self.is_second else self.ofs_header_1)
            return getattr(self, '_m_ofs_header', None)

        @property
        def rank_1_high(self):
            """Upper 32 bits of the sequence number of header 1, -1 when there is no
            copy with the right signature.
            """
            if hasattr(self, '_m_rank_1_high'):
                return self._m_rank_1_high

            self._m_rank_1_high = (self.header_1.rank_high if self.has_header_1 else -(1))
            return getattr(self, '_m_rank_1_high', None)

        @property
        def rank_1_low(self):
            """Lower 32 bits of the sequence number of header 1."""
            if hasattr(self, '_m_rank_1_low'):
                return self._m_rank_1_low

            self._m_rank_1_low = (self.header_1.sequence_number_low if self.has_header_1 else 0)
            return getattr(self, '_m_rank_1_low', None)

        @property
        def rank_2_high(self):
            """Upper 32 bits of the sequence number of header 2, -1 when there is no
            copy with the right signature.
            """
            if hasattr(self, '_m_rank_2_high'):
                return self._m_rank_2_high

            self._m_rank_2_high = (self.header_2.rank_high if self.has_header_2 else -(1))
            return getattr(self, '_m_rank_2_high', None)

        @property
        def rank_2_low(self):
            """Lower 32 bits of the sequence number of header 2."""
            if hasattr(self, '_m_rank_2_low'):
                return self._m_rank_2_low

            self._m_rank_2_low = (self.header_2.sequence_number_low if self.has_header_2 else 0)
            return getattr(self, '_m_rank_2_low', None)


    class ItemLookup(KaitaiStruct):
        """View; finds a known item in the metadata table.
        
        .. seealso::
           [MS-VHDX] 2.6.1.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_region, len_region, num_entries, kind_code, _io, _parent=None, _root=None):
            super(Vhdx.ItemLookup, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_region = ofs_region
            self.len_region = len_region
            self.num_entries = num_entries
            self.kind_code = kind_code
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.entry
            if hasattr(self, '_m_entry'):
                pass
                self._m_entry._fetch_instances()

            _ = self.up_to_item
            if hasattr(self, '_m_up_to_item'):
                pass
                for i in range(len(self._m_up_to_item)):
                    pass
                    self._m_up_to_item[i]._fetch_instances()



        @property
        def end_of_entries(self):
            """File offset in bytes."""
            if hasattr(self, '_m_end_of_entries'):
                return self._m_end_of_entries

            self._m_end_of_entries = ((self.ofs_region + 32) + self.num_entries * 32)
            return getattr(self, '_m_end_of_entries', None)

        @property
        def entry(self):
            """The wanted entry."""
            if hasattr(self, '_m_entry'):
                return self._m_entry

            if self.is_found:
                pass
                _pos = self._io.pos()
                self._io.seek((self.ofs_region + 32) + self.num_passed * 32)
                self._m_entry = Vhdx.MetadataTableEntry(self._io, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_entry', None)

        @property
        def is_found(self):
            if hasattr(self, '_m_is_found'):
                return self._m_is_found

            self._m_is_found = (int(self.up_to_item[-1].kind) == self.kind_code if self.num_entries > 0 else False)
            return getattr(self, '_m_is_found', None)

        @property
        def is_usable(self):
            """Whether the item is there and lies inside region and file."""
            if hasattr(self, '_m_is_usable'):
                return self._m_is_usable

            self._m_is_usable =  ((self.length > 0) and (self.offset >= 65536) and (self.offset <= self.len_region - self.length) and (self.ofs_item <= self._io.size() - 8)) 
            return getattr(self, '_m_is_usable', None)

        @property
        def length(self):
            """Bytes."""
            if hasattr(self, '_m_length'):
                return self._m_length

            self._m_length = (self.up_to_item[-1].length if self.is_found else 0)
            return getattr(self, '_m_length', None)

        @property
        def num_passed(self):
            """Entries before the wanted one."""
            if hasattr(self, '_m_num_passed'):
                return self._m_num_passed

            self._m_num_passed = ((len(self.up_to_item) - 1) if self.is_found else 0)
            return getattr(self, '_m_num_passed', None)

        @property
        def offset(self):
            """Bytes from the start of the metadata region."""
            if hasattr(self, '_m_offset'):
                return self._m_offset

            self._m_offset = (self.up_to_item[-1].offset if self.is_found else 0)
            return getattr(self, '_m_offset', None)

        @property
        def ofs_item(self):
            """File offset in bytes."""
            if hasattr(self, '_m_ofs_item'):
                return self._m_ofs_item

            self._m_ofs_item = (self.ofs_region + self.offset)
            return getattr(self, '_m_ofs_item', None)

        @property
        def up_to_item(self):
            """Entries up to the wanted one, or all of them."""
            if hasattr(self, '_m_up_to_item'):
                return self._m_up_to_item

            if self.num_entries > 0:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_region + 32)
                self._m_up_to_item = []
                i = 0
                while True:
                    _ = Vhdx.MetadataTableEntry(self._io, self, self._root)
                    self._m_up_to_item.append(_)
                    if  ((int(_.kind) == self.kind_code) or (self._io.pos() >= self.end_of_entries)) :
                        break
                    i += 1
                self._io.seek(_pos)

            return getattr(self, '_m_up_to_item', None)


    class LocatorText(KaitaiStruct):
        """UTF-16LE text without a zero at the end.
        
        .. seealso::
           [MS-VHDX] 2.6.2.6.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.LocatorText, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.raw = self._io.read_bytes_full()


        def _fetch_instances(self):
            pass
            _ = self.text
            if hasattr(self, '_m_text'):
                pass


        @property
        def text(self):
            """The text; reading it fails when the bytes are not UTF-16."""
            if hasattr(self, '_m_text'):
                return self._m_text

            _pos = self._io.pos()
            self._io.seek(0)
            self._m_text = (self._io.read_bytes_full()).decode(u"UTF-16LE")
            self._io.seek(_pos)
            return getattr(self, '_m_text', None)


    class LogDataSector(KaitaiStruct):
        """Bytes 8 to 4091 of an update, with the sequence number of the entry around
        them.
        
        .. seealso::
           [MS-VHDX] 2.3.1.4 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.LogDataSector, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.signature = self._io.read_bytes(4)
            self.sequence_high = self._io.read_u4le()
            self.data = self._io.read_bytes(4084)
            self.sequence_low = self._io.read_u4le()


        def _fetch_instances(self):
            pass

        @property
        def is_signature_valid(self):
            """Whether the signature is right."""
            if hasattr(self, '_m_is_signature_valid'):
                return self._m_is_signature_valid

            self._m_is_signature_valid = self.signature == b"\x64\x61\x74\x61"
            return getattr(self, '_m_is_signature_valid', None)


    class LogDescriptor(KaitaiStruct):
        """One change of the file, either 4096 bytes of data or a range of zeros.
        
        .. seealso::
           [MS-VHDX] 2.3.1.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.LogDescriptor, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.signature = self._io.read_bytes(4)
            _on = self.kind
            if _on == Vhdx.DescriptorKind.data_descriptor:
                pass
                self.body = Vhdx.DataDescriptorBody(self._io, self, self._root)
            elif _on == Vhdx.DescriptorKind.zero_descriptor:
                pass
                self.body = Vhdx.ZeroDescriptorBody(self._io, self, self._root)
            else:
                pass
                self.body = Vhdx.UnrecognizedDescriptorBody(self._io, self, self._root)
            self.file_offset = self._io.read_u8le()
            self.sequence_number = self._io.read_u8le()


        def _fetch_instances(self):
            pass
            _on = self.kind
            if _on == Vhdx.DescriptorKind.data_descriptor:
                pass
                self.body._fetch_instances()
            elif _on == Vhdx.DescriptorKind.zero_descriptor:
                pass
                self.body._fetch_instances()
            else:
                pass
                self.body._fetch_instances()

        @property
        def kind(self):
            """What the signature says."""
            if hasattr(self, '_m_kind'):
                return self._m_kind

            self._m_kind = (Vhdx.DescriptorKind.zero_descriptor if self.signature == b"\x7A\x65\x72\x6F" else (Vhdx.DescriptorKind.data_descriptor if self.signature == b"\x64\x65\x73\x63" else Vhdx.DescriptorKind.other_descriptor))
            return getattr(self, '_m_kind', None)


    class LogEntry(KaitaiStruct):
        """One entry of the log: a header and descriptors in whole sectors of
        4096 bytes, then one data sector for each data descriptor. An entry may
        run over the end of the ring and go on at its start; then it has to be
        put together before it can be parsed with this type.
        
        .. seealso::
           [MS-VHDX] 2.3.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.LogEntry, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.header = Vhdx.LogEntryHeader(self._io, self, self._root)
            self.descriptors = []
            for i in range(self.num_descriptors):
                self.descriptors.append(Vhdx.LogDescriptor(self._io, self, self._root))

            self.padding = self._io.read_bytes(self.len_padding)
            self.data_sectors = []
            for i in range(self.num_data_sectors):
                self.data_sectors.append(Vhdx.LogDataSector(self._io, self, self._root))



        def _fetch_instances(self):
            pass
            self.header._fetch_instances()
            for i in range(len(self.descriptors)):
                pass
                self.descriptors[i]._fetch_instances()

            for i in range(len(self.data_sectors)):
                pass
                self.data_sectors[i]._fetch_instances()


        @property
        def len_descriptor_sectors(self):
            """Bytes of the descriptor sectors, a multiple of 4096."""
            if hasattr(self, '_m_len_descriptor_sectors'):
                return self._m_len_descriptor_sectors

            self._m_len_descriptor_sectors = (self.len_used + self.len_padding)
            return getattr(self, '_m_len_descriptor_sectors', None)

        @property
        def len_header_and_descriptors(self):
            """Bytes that the header and all descriptors take."""
            if hasattr(self, '_m_len_header_and_descriptors'):
                return self._m_len_header_and_descriptors

            self._m_len_header_and_descriptors = (64 + (self.header.num_descriptors * 32))
            return getattr(self, '_m_len_header_and_descriptors', None)

        @property
        def len_padding(self):
            """Bytes from there to the end of the sector."""
            if hasattr(self, '_m_len_padding'):
                return self._m_len_padding

            self._m_len_padding = ((4096 - self.len_used % 4096) % 4096)
            return getattr(self, '_m_len_padding', None)

        @property
        def len_used(self):
            """Bytes that the header and these descriptors take."""
            if hasattr(self, '_m_len_used'):
                return self._m_len_used

            self._m_len_used = (64 + self.num_descriptors * 32)
            return getattr(self, '_m_len_used', None)

        @property
        def num_data_sectors(self):
            """Data sectors for which the entry has room."""
            if hasattr(self, '_m_num_data_sectors'):
                return self._m_num_data_sectors

            self._m_num_data_sectors = (((self.header.entry_length - self.len_descriptor_sectors) // 4096) if self.header.entry_length > self.len_descriptor_sectors else 0)
            return getattr(self, '_m_num_data_sectors', None)

        @property
        def num_descriptors(self):
            """Descriptors of the entry; none when the count does not fit it."""
            if hasattr(self, '_m_num_descriptors'):
                return self._m_num_descriptors

            self._m_num_descriptors = (self.header.num_descriptors if self.len_header_and_descriptors <= self.header.entry_length else 0)
            return getattr(self, '_m_num_descriptors', None)


    class LogEntryHeader(KaitaiStruct):
        """Head of a log entry. Sequence numbers of logs written by Windows are far
        above 2^53 and come out rounded in JavaScript; a slot of the log has the
        two halves of its entry's, which are exact.
        
        .. seealso::
           [MS-VHDX] 2.3.1.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.LogEntryHeader, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.signature = self._io.read_bytes(4)
            self.checksum = self._io.read_u4le()
            self.entry_length = self._io.read_u4le()
            self.tail = self._io.read_u4le()
            self.sequence_number = self._io.read_u8le()
            self.num_descriptors = self._io.read_u4le()
            self.reserved = self._io.read_u4le()
            self.log_guid = Vhdx.Guid(self._io, self, self._root)
            self.flushed_file_offset = self._io.read_u8le()
            self.last_file_offset = self._io.read_u8le()


        def _fetch_instances(self):
            pass
            self.log_guid._fetch_instances()

        @property
        def is_signature_valid(self):
            """Whether the signature is right. The checksum is not looked at."""
            if hasattr(self, '_m_is_signature_valid'):
                return self._m_is_signature_valid

            self._m_is_signature_valid = self.signature == b"\x6C\x6F\x67\x65"
            return getattr(self, '_m_is_signature_valid', None)


    class LogEntrySector(KaitaiStruct):
        """View; the first sector of an entry.
        
        .. seealso::
           [MS-VHDX] 2.3.1.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_sector, _io, _parent=None, _root=None):
            super(Vhdx.LogEntrySector, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_sector = ofs_sector
            self._read()

        def _read(self):
            self.header = Vhdx.LogEntryHeader(self._io, self, self._root)
            self.rest = self._io.read_bytes(4032)


        def _fetch_instances(self):
            pass
            self.header._fetch_instances()
            _ = self.sequence_number_high
            if hasattr(self, '_m_sequence_number_high'):
                pass

            _ = self.sequence_number_low
            if hasattr(self, '_m_sequence_number_low'):
                pass


        @property
        def sequence_number_high(self):
            """Upper 32 bits of the sequence number."""
            if hasattr(self, '_m_sequence_number_high'):
                return self._m_sequence_number_high

            _pos = self._io.pos()
            self._io.seek(self.ofs_sector + 20)
            self._m_sequence_number_high = self._io.read_u4le()
            self._io.seek(_pos)
            return getattr(self, '_m_sequence_number_high', None)

        @property
        def sequence_number_low(self):
            """Lower 32 bits of the sequence number."""
            if hasattr(self, '_m_sequence_number_low'):
                return self._m_sequence_number_low

            _pos = self._io.pos()
            self._io.seek(self.ofs_sector + 16)
            self._m_sequence_number_low = self._io.read_u4le()
            self._io.seek(_pos)
            return getattr(self, '_m_sequence_number_low', None)


    class LogRing(KaitaiStruct):
        """View; the log in slots of 4096 bytes, at each of which an entry may begin.
        Slots that hold stale entries are normal. The log is a ring: an entry that
        runs over its end is shown by its header alone.
        
        .. seealso::
           [MS-VHDX] 2.3 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_header, _io, _parent=None, _root=None):
            super(Vhdx.LogRing, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_header = ofs_header
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.header
            if hasattr(self, '_m_header'):
                pass
                self._m_header._fetch_instances()

            _ = self.slots
            if hasattr(self, '_m_slots'):
                pass
                for i in range(len(self._m_slots)):
                    pass
                    self._m_slots[i]._fetch_instances()



        @property
        def end_of_log(self):
            """File offset in bytes of the end of the log, or of the file."""
            if hasattr(self, '_m_end_of_log'):
                return self._m_end_of_log

            self._m_end_of_log = (self.ofs_log + self.len_stored)
            return getattr(self, '_m_end_of_log', None)

        @property
        def has_to_be_replayed(self):
            """Whether the log holds changes, going by its GUID; until they are
            replayed, the regions may be out of date.
            """
            if hasattr(self, '_m_has_to_be_replayed'):
                return self._m_has_to_be_replayed

            self._m_has_to_be_replayed = self.header.log_guid.raw != b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
            return getattr(self, '_m_has_to_be_replayed', None)

        @property
        def header(self):
            """The header that names the log."""
            if hasattr(self, '_m_header'):
                return self._m_header

            _pos = self._io.pos()
            self._io.seek(self.ofs_header)
            self._raw__m_header = self._io.read_bytes(4096)
            _io__raw__m_header = KaitaiStream(BytesIO(self._raw__m_header))
            self._m_header = Vhdx.Header(_io__raw__m_header, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_header', None)

        @property
        def len_log(self):
            """Size of the log in bytes."""
            if hasattr(self, '_m_len_log'):
                return self._m_len_log

            self._m_len_log = self.header.log_length
            return getattr(self, '_m_len_log', None)

        @property
        def len_stored(self):
            """Bytes of the log that the file holds."""
            if hasattr(self, '_m_len_stored'):
                return self._m_len_stored

            self._m_len_stored = ((self.len_log if self.len_log <= self._io.size() - self.ofs_log else (self._io.size() - self.ofs_log)) if  ((self.ofs_log > 0) and (self.ofs_log <= self._io.size()))  else 0)
            return getattr(self, '_m_len_stored', None)

        @property
        def num_slots(self):
            """Number of slots, as far as the file has them."""
            if hasattr(self, '_m_num_slots'):
                return self._m_num_slots

            self._m_num_slots = self.len_stored // 4096
            return getattr(self, '_m_num_slots', None)

        @property
        def ofs_log(self):
            """File offset of the log in bytes."""
            if hasattr(self, '_m_ofs_log'):
                return self._m_ofs_log

            self._m_ofs_log = self.header.log_offset
            return getattr(self, '_m_ofs_log', None)

        @property
        def ofs_log_guid(self):
            """File offset of the LogGuid in the header in bytes."""
            if hasattr(self, '_m_ofs_log_guid'):
                return self._m_ofs_log_guid

            self._m_ofs_log_guid = (self.ofs_header + 48)
            return getattr(self, '_m_ofs_log_guid', None)

        @property
        def slots(self):
            """The slots in the order in which they lie in the file."""
            if hasattr(self, '_m_slots'):
                return self._m_slots

            if self.num_slots > 0:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_log)
                self._m_slots = []
                for i in range(self.num_slots):
                    self._m_slots.append(Vhdx.LogSlot(self.ofs_log + i * 4096, self.end_of_log, self.ofs_log_guid, self._io, self, self._root))

                self._io.seek(_pos)

            return getattr(self, '_m_slots', None)


    class LogSlot(KaitaiStruct):
        """View; 4096 bytes of the log.
        
        .. seealso::
           [MS-VHDX] 2.3.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_slot, end_of_log, ofs_log_guid, _io, _parent=None, _root=None):
            super(Vhdx.LogSlot, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_slot = ofs_slot
            self.end_of_log = end_of_log
            self.ofs_log_guid = ofs_log_guid
            self._read()

        def _read(self):
            self.raw = self._io.read_bytes(4096)


        def _fetch_instances(self):
            pass
            _ = self.entry
            if hasattr(self, '_m_entry'):
                pass
                self._m_entry._fetch_instances()

            _ = self.entry_length
            if hasattr(self, '_m_entry_length'):
                pass

            _ = self.guid_of_entry
            if hasattr(self, '_m_guid_of_entry'):
                pass

            _ = self.log_guid
            if hasattr(self, '_m_log_guid'):
                pass

            _ = self.sector
            if hasattr(self, '_m_sector'):
                pass
                _on = self.kind_code
                if _on == 1:
                    pass
                    self._m_sector._fetch_instances()
                elif _on == 2:
                    pass
                    self._m_sector._fetch_instances()
                else:
                    pass
                    self._m_sector._fetch_instances()

            _ = self.signature
            if hasattr(self, '_m_signature'):
                pass


        @property
        def entry(self):
            """The whole entry."""
            if hasattr(self, '_m_entry'):
                return self._m_entry

            if self.is_entry_whole:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_slot)
                self._raw__m_entry = self._io.read_bytes(self.len_entry)
                _io__raw__m_entry = KaitaiStream(BytesIO(self._raw__m_entry))
                self._m_entry = Vhdx.LogEntry(_io__raw__m_entry, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_entry', None)

        @property
        def entry_length(self):
            """Size of the entry in bytes, if this is one."""
            if hasattr(self, '_m_entry_length'):
                return self._m_entry_length

            _pos = self._io.pos()
            self._io.seek(self.ofs_slot + 8)
            self._m_entry_length = self._io.read_u4le()
            self._io.seek(_pos)
            return getattr(self, '_m_entry_length', None)

        @property
        def guid_of_entry(self):
            """LogGuid of the entry, if this is one."""
            if hasattr(self, '_m_guid_of_entry'):
                return self._m_guid_of_entry

            _pos = self._io.pos()
            self._io.seek(self.ofs_slot + 32)
            self._m_guid_of_entry = self._io.read_bytes(16)
            self._io.seek(_pos)
            return getattr(self, '_m_guid_of_entry', None)

        @property
        def is_entry(self):
            """Whether an entry begins here, going by the signature."""
            if hasattr(self, '_m_is_entry'):
                return self._m_is_entry

            self._m_is_entry = self.signature == b"\x6C\x6F\x67\x65"
            return getattr(self, '_m_is_entry', None)

        @property
        def is_entry_whole(self):
            """Whether an entry is here and ends before the log does."""
            if hasattr(self, '_m_is_entry_whole'):
                return self._m_is_entry_whole

            self._m_is_entry_whole =  ((self.len_entry >= 4096) and (self.len_entry <= self.end_of_log - self.ofs_slot)) 
            return getattr(self, '_m_is_entry_whole', None)

        @property
        def is_live(self):
            """Whether this is an entry that has the log's own GUID."""
            if hasattr(self, '_m_is_live'):
                return self._m_is_live

            self._m_is_live =  ((self.is_entry) and (self.guid_of_entry == self.log_guid) and (self.log_guid != b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")) 
            return getattr(self, '_m_is_live', None)

        @property
        def kind(self):
            """What the slot holds, for people. An entry is live when it has the
            LogGuid that the header names; it is replayed unless it is older than
            the sequence of entries that counts. Of a stale one nothing counts.
            """
            if hasattr(self, '_m_kind'):
                return self._m_kind

            self._m_kind = (u"live entry" if self.is_live else (u"stale entry" if self.is_entry else (u"data sector" if self.kind_code == 2 else u"unused")))
            return getattr(self, '_m_kind', None)

        @property
        def kind_code(self):
            """1 for an entry, 2 for a data sector, 0 for anything else."""
            if hasattr(self, '_m_kind_code'):
                return self._m_kind_code

            self._m_kind_code = (1 if self.is_entry else (2 if self.signature == b"\x64\x61\x74\x61" else 0))
            return getattr(self, '_m_kind_code', None)

        @property
        def len_entry(self):
            """Size of the entry in bytes, 0 when there is none."""
            if hasattr(self, '_m_len_entry'):
                return self._m_len_entry

            self._m_len_entry = (self.entry_length if self.is_entry else 0)
            return getattr(self, '_m_len_entry', None)

        @property
        def log_guid(self):
            """LogGuid of the header that names the log."""
            if hasattr(self, '_m_log_guid'):
                return self._m_log_guid

            _pos = self._io.pos()
            self._io.seek(self.ofs_log_guid)
            self._m_log_guid = self._io.read_bytes(16)
            self._io.seek(_pos)
            return getattr(self, '_m_log_guid', None)

        @property
        def sector(self):
            """What the slot holds."""
            if hasattr(self, '_m_sector'):
                return self._m_sector

            _pos = self._io.pos()
            self._io.seek(self.ofs_slot)
            _on = self.kind_code
            if _on == 1:
                pass
                self._m_sector = Vhdx.LogEntrySector(self.ofs_slot, self._io, self, self._root)
            elif _on == 2:
                pass
                self._m_sector = Vhdx.LogDataSector(self._io, self, self._root)
            else:
                pass
                self._m_sector = Vhdx.UnusedSector(self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_sector', None)

        @property
        def signature(self):
            """First bytes of the slot."""
            if hasattr(self, '_m_signature'):
                return self._m_signature

            _pos = self._io.pos()
            self._io.seek(self.ofs_slot)
            self._m_signature = self._io.read_bytes(4)
            self._io.seek(_pos)
            return getattr(self, '_m_signature', None)


    class LogicalSectorSizeItem(KaitaiStruct):
        """Size of the sectors by which the disk is addressed.
        
        .. seealso::
           [MS-VHDX] 2.6.2.4 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.LogicalSectorSizeItem, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.logical_sector_size = self._io.read_u4le()


        def _fetch_instances(self):
            pass


    class MetadataItem(KaitaiStruct):
        """View; one entry of the metadata table with the item it stands for.
        
        .. seealso::
           [MS-VHDX] 2.6.1.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_region, len_region, _io, _parent=None, _root=None):
            super(Vhdx.MetadataItem, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_region = ofs_region
            self.len_region = len_region
            self._read()

        def _read(self):
            self.entry = Vhdx.MetadataTableEntry(self._io, self, self._root)


        def _fetch_instances(self):
            pass
            self.entry._fetch_instances()
            _ = self.data
            if hasattr(self, '_m_data'):
                pass
                _on = self.entry.kind
                if _on == Vhdx.ItemKind.file_parameters:
                    pass
                    self._m_data._fetch_instances()
                elif _on == Vhdx.ItemKind.logical_sector_size:
                    pass
                    self._m_data._fetch_instances()
                elif _on == Vhdx.ItemKind.parent_locator:
                    pass
                    self._m_data._fetch_instances()
                elif _on == Vhdx.ItemKind.physical_sector_size:
                    pass
                    self._m_data._fetch_instances()
                elif _on == Vhdx.ItemKind.virtual_disk_id:
                    pass
                    self._m_data._fetch_instances()
                elif _on == Vhdx.ItemKind.virtual_disk_size:
                    pass
                    self._m_data._fetch_instances()
                else:
                    pass
                    self._m_data._fetch_instances()


        @property
        def data(self):
            """The item."""
            if hasattr(self, '_m_data'):
                return self._m_data

            if self.is_usable:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_item)
                _on = self.entry.kind
                if _on == Vhdx.ItemKind.file_parameters:
                    pass
                    self._raw__m_data = self._io.read_bytes(self.len_item)
                    _io__raw__m_data = KaitaiStream(BytesIO(self._raw__m_data))
                    self._m_data = Vhdx.FileParametersItem(_io__raw__m_data, self, self._root)
                elif _on == Vhdx.ItemKind.logical_sector_size:
                    pass
                    self._raw__m_data = self._io.read_bytes(self.len_item)
                    _io__raw__m_data = KaitaiStream(BytesIO(self._raw__m_data))
                    self._m_data = Vhdx.LogicalSectorSizeItem(_io__raw__m_data, self, self._root)
                elif _on == Vhdx.ItemKind.parent_locator:
                    pass
                    self._raw__m_data = self._io.read_bytes(self.len_item)
                    _io__raw__m_data = KaitaiStream(BytesIO(self._raw__m_data))
                    self._m_data = Vhdx.ParentLocatorItem(_io__raw__m_data, self, self._root)
                elif _on == Vhdx.ItemKind.physical_sector_size:
                    pass
                    self._raw__m_data = self._io.read_bytes(self.len_item)
                    _io__raw__m_data = KaitaiStream(BytesIO(self._raw__m_data))
                    self._m_data = Vhdx.PhysicalSectorSizeItem(_io__raw__m_data, self, self._root)
                elif _on == Vhdx.ItemKind.virtual_disk_id:
                    pass
                    self._raw__m_data = self._io.read_bytes(self.len_item)
                    _io__raw__m_data = KaitaiStream(BytesIO(self._raw__m_data))
                    self._m_data = Vhdx.VirtualDiskIdItem(_io__raw__m_data, self, self._root)
                elif _on == Vhdx.ItemKind.virtual_disk_size:
                    pass
                    self._raw__m_data = self._io.read_bytes(self.len_item)
                    _io__raw__m_data = KaitaiStream(BytesIO(self._raw__m_data))
                    self._m_data = Vhdx.VirtualDiskSizeItem(_io__raw__m_data, self, self._root)
                else:
                    pass
                    self._raw__m_data = self._io.read_bytes(self.len_item)
                    _io__raw__m_data = KaitaiStream(BytesIO(self._raw__m_data))
                    self._m_data = Vhdx.UnknownItem(_io__raw__m_data, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_data', None)

        @property
        def is_usable(self):
            """Whether the item is not empty and lies inside the region."""
            if hasattr(self, '_m_is_usable'):
                return self._m_is_usable

            self._m_is_usable =  ((self.len_item > 0) and (self.len_item <= 1048576) and (self.ofs_item >= self.ofs_region + 65536) and (self.ofs_item <= (self.ofs_region + self.len_region) - self.len_item)) 
            return getattr(self, '_m_is_usable', None)

        @property
        def len_item(self):
            """Bytes."""
            if hasattr(self, '_m_len_item'):
                return self._m_len_item

            self._m_len_item = self.entry.length
            return getattr(self, '_m_len_item', None)

        @property
        def ofs_item(self):
            """File offset in bytes."""
            if hasattr(self, '_m_ofs_item'):
                return self._m_ofs_item

            self._m_ofs_item = (self.ofs_region + self.entry.offset)
            return getattr(self, '_m_ofs_item', None)


    class MetadataTable(KaitaiStruct):
        """The first 64 KiB of the metadata region.
        
        .. seealso::
           [MS-VHDX] 2.6.1.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.MetadataTable, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.signature = self._io.read_bytes(8)
            self.reserved = self._io.read_u2le()
            self.num_entries = self._io.read_u2le()
            self.reserved_2 = self._io.read_bytes(20)
            self.entries = []
            for i in range((self.num_entries if self.num_entries <= 2047 else 0)):
                self.entries.append(Vhdx.MetadataTableEntry(self._io, self, self._root))



        def _fetch_instances(self):
            pass
            for i in range(len(self.entries)):
                pass
                self.entries[i]._fetch_instances()

            _ = self.unused
            if hasattr(self, '_m_unused'):
                pass


        @property
        def is_signature_valid(self):
            """Whether the signature is right."""
            if hasattr(self, '_m_is_signature_valid'):
                return self._m_is_signature_valid

            self._m_is_signature_valid = self.signature == b"\x6D\x65\x74\x61\x64\x61\x74\x61"
            return getattr(self, '_m_is_signature_valid', None)

        @property
        def unused(self):
            """May hold anything, stale entries for example. Not part of `seq`, so
            that nobody has to read it.
            """
            if hasattr(self, '_m_unused'):
                return self._m_unused

            _pos = self._io.pos()
            self._io.seek(32 + len(self.entries) * 32)
            self._m_unused = self._io.read_bytes_full()
            self._io.seek(_pos)
            return getattr(self, '_m_unused', None)


    class MetadataTableEntry(KaitaiStruct):
        """Place and nature of one metadata item.
        
        .. seealso::
           [MS-VHDX] 2.6.1.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.MetadataTableEntry, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.item_id = Vhdx.Guid(self._io, self, self._root)
            self.offset = self._io.read_u4le()
            self.length = self._io.read_u4le()
            self.is_user = self._io.read_bits_int_le(1) != 0
            self.is_virtual_disk = self._io.read_bits_int_le(1) != 0
            self.is_required = self._io.read_bits_int_le(1) != 0
            self.reserved = self._io.read_bits_int_le(29)
            self.reserved_2 = self._io.read_u4le()


        def _fetch_instances(self):
            pass
            self.item_id._fetch_instances()

        @property
        def kind(self):
            """The item's kind, as far as the specification names it; a user item is
            never a known one.
            """
            if hasattr(self, '_m_kind'):
                return self._m_kind

            self._m_kind = (Vhdx.ItemKind.other if self.is_user else (Vhdx.ItemKind.file_parameters if self.item_id.raw == b"\x37\x67\xA1\xCA\x36\xFA\x43\x4D\xB3\xB6\x33\xF0\xAA\x44\xE7\x6B" else (Vhdx.ItemKind.virtual_disk_size if self.item_id.raw == b"\x24\x42\xA5\x2F\x1B\xCD\x76\x48\xB2\x11\x5D\xBE\xD8\x3B\xF4\xB8" else (Vhdx.ItemKind.virtual_disk_id if self.item_id.raw == b"\xAB\x12\xCA\xBE\xE6\xB2\x23\x45\x93\xEF\xC3\x09\xE0\x00\xC7\x46" else (Vhdx.ItemKind.logical_sector_size if self.item_id.raw == b"\x1D\xBF\x41\x81\x6F\xA9\x09\x47\xBA\x47\xF2\x33\xA8\xFA\xAB\x5F" else (Vhdx.ItemKind.physical_sector_size if self.item_id.raw == b"\xC7\x48\xA3\xCD\x5D\x44\x71\x44\x9C\xC9\xE9\x88\x52\x51\xC5\x56" else (Vhdx.ItemKind.parent_locator if self.item_id.raw == b"\x2D\x5F\xD3\xA8\x0B\xB3\x4D\x45\xAB\xF7\xD3\xD8\x48\x34\xAB\x0C" else Vhdx.ItemKind.other)))))))
            return getattr(self, '_m_kind', None)


    class MetadataView(KaitaiStruct):
        """View; the metadata table, and all items as far as the file has their
        entries.
        
        .. seealso::
           [MS-VHDX] 2.6 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_region_entry, _io, _parent=None, _root=None):
            super(Vhdx.MetadataView, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_region_entry = ofs_region_entry
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.items
            if hasattr(self, '_m_items'):
                pass
                for i in range(len(self._m_items)):
                    pass
                    self._m_items[i]._fetch_instances()


            _ = self.num_stated_items
            if hasattr(self, '_m_num_stated_items'):
                pass

            _ = self.region
            if hasattr(self, '_m_region'):
                pass
                self._m_region._fetch_instances()

            _ = self.table
            if hasattr(self, '_m_table'):
                pass
                self._m_table._fetch_instances()


        @property
        def end_of_possible_items(self):
            """File offset of the end of their entries in bytes."""
            if hasattr(self, '_m_end_of_possible_items'):
                return self._m_end_of_possible_items

            self._m_end_of_possible_items = ((self.ofs_region + 32) + self.num_possible_items * 32)
            return getattr(self, '_m_end_of_possible_items', None)

        @property
        def has_count(self):
            """Whether the file has the head of the table."""
            if hasattr(self, '_m_has_count'):
                return self._m_has_count

            self._m_has_count =  ((self.ofs_region > 0) and (self.ofs_region <= self._io.size() - 32)) 
            return getattr(self, '_m_has_count', None)

        @property
        def items(self):
            """The items in the order of the table."""
            if hasattr(self, '_m_items'):
                return self._m_items

            if self.num_items > 0:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_region + 32)
                self._m_items = []
                for i in range(self.num_items):
                    self._m_items.append(Vhdx.MetadataItem(self.ofs_region, self.len_region, self._io, self, self._root))

                self._io.seek(_pos)

            return getattr(self, '_m_items', None)

        @property
        def len_region(self):
            """Size of the metadata region in bytes."""
            if hasattr(self, '_m_len_region'):
                return self._m_len_region

            self._m_len_region = self.region.length
            return getattr(self, '_m_len_region', None)

        @property
        def num_items(self):
            """Items in the table, as far as the file has their entries."""
            if hasattr(self, '_m_num_items'):
                return self._m_num_items

            self._m_num_items = ((((self._io.size() - self.ofs_region) - 32) // 32) if  ((self.has_count) and (self.end_of_possible_items > self._io.size()))  else self.num_possible_items)
            return getattr(self, '_m_num_items', None)

        @property
        def num_possible_items(self):
            """The count; none when it is impossible."""
            if hasattr(self, '_m_num_possible_items'):
                return self._m_num_possible_items

            self._m_num_possible_items = ((self.num_stated_items if self.num_stated_items <= 2047 else 0) if self.has_count else 0)
            return getattr(self, '_m_num_possible_items', None)

        @property
        def num_stated_items(self):
            """The count as it is stored."""
            if hasattr(self, '_m_num_stated_items'):
                return self._m_num_stated_items

            _pos = self._io.pos()
            self._io.seek(self.ofs_region + 10)
            self._m_num_stated_items = self._io.read_u2le()
            self._io.seek(_pos)
            return getattr(self, '_m_num_stated_items', None)

        @property
        def ofs_region(self):
            """File offset of the metadata region in bytes."""
            if hasattr(self, '_m_ofs_region'):
                return self._m_ofs_region

            self._m_ofs_region = self.region.file_offset
            return getattr(self, '_m_ofs_region', None)

        @property
        def region(self):
            """Where the region is."""
            if hasattr(self, '_m_region'):
                return self._m_region

            _pos = self._io.pos()
            self._io.seek(self.ofs_region_entry)
            self._m_region = Vhdx.RegionTableEntry(self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_region', None)

        @property
        def table(self):
            """The table that lists the items."""
            if hasattr(self, '_m_table'):
                return self._m_table

            _pos = self._io.pos()
            self._io.seek(self.ofs_region)
            self._raw__m_table = self._io.read_bytes(65536)
            _io__raw__m_table = KaitaiStream(BytesIO(self._raw__m_table))
            self._m_table = Vhdx.MetadataTable(_io__raw__m_table, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_table', None)


    class ParentLocatorEntry(KaitaiStruct):
        """One key and its value, both UTF-16LE without a zero at the end. Offsets
        count from the start of the parent locator.
        
        .. seealso::
           [MS-VHDX] 2.6.2.6.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.ParentLocatorEntry, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.ofs_key = self._io.read_u4le()
            self.ofs_value = self._io.read_u4le()
            self.len_key = self._io.read_u2le()
            self.len_value = self._io.read_u2le()


        def _fetch_instances(self):
            pass
            _ = self.key
            if hasattr(self, '_m_key'):
                pass
                self._m_key._fetch_instances()

            _ = self.value
            if hasattr(self, '_m_value'):
                pass
                self._m_value._fetch_instances()


        @property
        def key(self):
            """The key."""
            if hasattr(self, '_m_key'):
                return self._m_key

            _pos = self._io.pos()
            self._io.seek(self.ofs_key)
            self._raw__m_key = self._io.read_bytes(self.len_key)
            _io__raw__m_key = KaitaiStream(BytesIO(self._raw__m_key))
            self._m_key = Vhdx.LocatorText(_io__raw__m_key, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_key', None)

        @property
        def value(self):
            """The value."""
            if hasattr(self, '_m_value'):
                return self._m_value

            _pos = self._io.pos()
            self._io.seek(self.ofs_value)
            self._raw__m_value = self._io.read_bytes(self.len_value)
            _io__raw__m_value = KaitaiStream(BytesIO(self._raw__m_value))
            self._m_value = Vhdx.LocatorText(_io__raw__m_value, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_value', None)


    class ParentLocatorItem(KaitaiStruct):
        """How the parent of a differencing disk is found and recognised.
        
        .. seealso::
           [MS-VHDX] 2.6.2.6.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.ParentLocatorItem, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.locator_type = Vhdx.Guid(self._io, self, self._root)
            self.reserved = self._io.read_u2le()
            self.num_key_values = self._io.read_u2le()
            self.key_values = []
            for i in range((self.num_key_values if self.len_table <= self._io.size() else 0)):
                self.key_values.append(Vhdx.ParentLocatorEntry(self._io, self, self._root))



        def _fetch_instances(self):
            pass
            self.locator_type._fetch_instances()
            for i in range(len(self.key_values)):
                pass
                self.key_values[i]._fetch_instances()


        @property
        def is_vhdx_type(self):
            """Whether the parent is a VHDX file."""
            if hasattr(self, '_m_is_vhdx_type'):
                return self._m_is_vhdx_type

            self._m_is_vhdx_type = self.locator_type.raw == b"\xB7\xEF\x4A\xB0\x9E\xD1\x81\x4A\xB7\x89\x25\xB8\xE9\x44\x59\x13"
            return getattr(self, '_m_is_vhdx_type', None)

        @property
        def len_table(self):
            """Bytes that the header and all entries take."""
            if hasattr(self, '_m_len_table'):
                return self._m_len_table

            self._m_len_table = (20 + self.num_key_values * 12)
            return getattr(self, '_m_len_table', None)


    class PayloadBatEntry(KaitaiStruct):
        """Entry of the BAT for a payload block.
        
        .. seealso::
           [MS-VHDX] 2.5.1.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.PayloadBatEntry, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.state = KaitaiStream.resolve_enum(Vhdx.PayloadBlockState, self._io.read_bits_int_le(3))
            self.reserved = self._io.read_bits_int_le(17)
            self.file_offset_mb_low = self._io.read_bits_int_le(12)
            self.file_offset_mb_high = self._io.read_u4le()


        def _fetch_instances(self):
            pass

        @property
        def file_offset_mb(self):
            """Where the block is, in MiB from the start of the file."""
            if hasattr(self, '_m_file_offset_mb'):
                return self._m_file_offset_mb

            self._m_file_offset_mb = ((self.file_offset_mb_high * 4096) + self.file_offset_mb_low)
            return getattr(self, '_m_file_offset_mb', None)

        @property
        def is_stored(self):
            """Whether the state says that the block is, wholly or partly, in this
            file.
            """
            if hasattr(self, '_m_is_stored'):
                return self._m_is_stored

            self._m_is_stored =  ((self.state == Vhdx.PayloadBlockState.fully_present) or (self.state == Vhdx.PayloadBlockState.partially_present)) 
            return getattr(self, '_m_is_stored', None)

        @property
        def location(self):
            """Where the block is, for people."""
            if hasattr(self, '_m_location'):
                return self._m_location

            self._m_location = ((u"at " + str(self.file_offset_mb)) + u" MiB" if self.is_stored else u"not in this file")
            return getattr(self, '_m_location', None)


    class PayloadBlock(KaitaiStruct):
        """View; one payload block with its entry in the BAT.
        
        .. seealso::
           [MS-VHDX] 2.5.1.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_entry, len_data, _io, _parent=None, _root=None):
            super(Vhdx.PayloadBlock, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_entry = ofs_entry
            self.len_data = len_data
            self._read()

        def _read(self):
            self.raw_entry = self._io.read_bytes(8)


        def _fetch_instances(self):
            pass
            _ = self.data
            if hasattr(self, '_m_data'):
                pass

            _ = self.entry
            if hasattr(self, '_m_entry'):
                pass
                self._m_entry._fetch_instances()


        @property
        def data(self):
            """The block's bytes, up to 256 MiB of them."""
            if hasattr(self, '_m_data'):
                return self._m_data

            if self.has_data:
                pass
                _pos = self._io.pos()
                self._io.seek(self.file_offset_mb * 1048576)
                self._m_data = self._io.read_bytes(self.len_data)
                self._io.seek(_pos)

            return getattr(self, '_m_data', None)

        @property
        def entry(self):
            if hasattr(self, '_m_entry'):
                return self._m_entry

            _pos = self._io.pos()
            self._io.seek(self.ofs_entry)
            self._m_entry = Vhdx.PayloadBatEntry(self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_entry', None)

        @property
        def file_offset_mb(self):
            """Where the block is, in MiB from the start of the file."""
            if hasattr(self, '_m_file_offset_mb'):
                return self._m_file_offset_mb

            self._m_file_offset_mb = self.entry.file_offset_mb
            return getattr(self, '_m_file_offset_mb', None)

        @property
        def has_data(self):
            """Whether the block is stored and lies inside the file."""
            if hasattr(self, '_m_has_data'):
                return self._m_has_data

            self._m_has_data =  ((self.is_stored) and (self.len_data <= self._io.size()) and (self.file_offset_mb <= ((self._io.size() - self.len_data) // 1048576))) 
            return getattr(self, '_m_has_data', None)

        @property
        def is_stored(self):
            """Whether the state says that the block is in this file."""
            if hasattr(self, '_m_is_stored'):
                return self._m_is_stored

            self._m_is_stored = self.entry.is_stored
            return getattr(self, '_m_is_stored', None)


    class PhysicalSectorSizeItem(KaitaiStruct):
        """Size of the sectors that the disk claims to have inside.
        
        .. seealso::
           [MS-VHDX] 2.6.2.5 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.PhysicalSectorSizeItem, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.physical_sector_size = self._io.read_u4le()


        def _fetch_instances(self):
            pass


    class RegionLookup(KaitaiStruct):
        """View; finds a known region in a region table.
        
        .. seealso::
           [MS-VHDX] 2.2.3.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_table, kind_code, _io, _parent=None, _root=None):
            super(Vhdx.RegionLookup, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_table = ofs_table
            self.kind_code = kind_code
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.entry
            if hasattr(self, '_m_entry'):
                pass
                self._m_entry._fetch_instances()

            _ = self.num_stated_entries
            if hasattr(self, '_m_num_stated_entries'):
                pass

            _ = self.up_to_entry
            if hasattr(self, '_m_up_to_entry'):
                pass
                for i in range(len(self._m_up_to_entry)):
                    pass
                    self._m_up_to_entry[i]._fetch_instances()



        @property
        def end_of_entries(self):
            """File offset in bytes."""
            if hasattr(self, '_m_end_of_entries'):
                return self._m_end_of_entries

            self._m_end_of_entries = ((self.ofs_table + 16) + self.num_entries * 32)
            return getattr(self, '_m_end_of_entries', None)

        @property
        def end_of_possible_entries(self):
            """File offset in bytes."""
            if hasattr(self, '_m_end_of_possible_entries'):
                return self._m_end_of_possible_entries

            self._m_end_of_possible_entries = ((self.ofs_table + 16) + self.num_possible_entries * 32)
            return getattr(self, '_m_end_of_possible_entries', None)

        @property
        def entry(self):
            """The wanted entry."""
            if hasattr(self, '_m_entry'):
                return self._m_entry

            if self.is_found:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_entry)
                self._m_entry = Vhdx.RegionTableEntry(self._io, self, self._root)
                self._io.seek(_pos)

            return getattr(self, '_m_entry', None)

        @property
        def has_count(self):
            """Whether the file has the head of the table."""
            if hasattr(self, '_m_has_count'):
                return self._m_has_count

            self._m_has_count = self._io.size() >= self.ofs_table + 16
            return getattr(self, '_m_has_count', None)

        @property
        def is_found(self):
            if hasattr(self, '_m_is_found'):
                return self._m_is_found

            self._m_is_found = (int(self.up_to_entry[-1].kind) == self.kind_code if self.num_entries > 0 else False)
            return getattr(self, '_m_is_found', None)

        @property
        def num_entries(self):
            """Entries in the table, as far as the file has them."""
            if hasattr(self, '_m_num_entries'):
                return self._m_num_entries

            self._m_num_entries = ((((self._io.size() - self.ofs_table) - 16) // 32) if  ((self.has_count) and (self.end_of_possible_entries > self._io.size()))  else self.num_possible_entries)
            return getattr(self, '_m_num_entries', None)

        @property
        def num_passed(self):
            """Entries before the wanted one."""
            if hasattr(self, '_m_num_passed'):
                return self._m_num_passed

            self._m_num_passed = ((len(self.up_to_entry) - 1) if self.is_found else 0)
            return getattr(self, '_m_num_passed', None)

        @property
        def num_possible_entries(self):
            """The count; none when it is impossible."""
            if hasattr(self, '_m_num_possible_entries'):
                return self._m_num_possible_entries

            self._m_num_possible_entries = ((self.num_stated_entries if self.num_stated_entries <= 2047 else 0) if self.has_count else 0)
            return getattr(self, '_m_num_possible_entries', None)

        @property
        def num_stated_entries(self):
            """The count as it is stored."""
            if hasattr(self, '_m_num_stated_entries'):
                return self._m_num_stated_entries

            _pos = self._io.pos()
            self._io.seek(self.ofs_table + 8)
            self._m_num_stated_entries = self._io.read_u4le()
            self._io.seek(_pos)
            return getattr(self, '_m_num_stated_entries', None)

        @property
        def ofs_entry(self):
            """File offset of the wanted entry in bytes."""
            if hasattr(self, '_m_ofs_entry'):
                return self._m_ofs_entry

            self._m_ofs_entry = ((self.ofs_table + 16) + self.num_passed * 32)
            return getattr(self, '_m_ofs_entry', None)

        @property
        def up_to_entry(self):
            """Entries up to the wanted one, or all of them."""
            if hasattr(self, '_m_up_to_entry'):
                return self._m_up_to_entry

            if self.num_entries > 0:
                pass
                _pos = self._io.pos()
                self._io.seek(self.ofs_table + 16)
                self._m_up_to_entry = []
                i = 0
                while True:
                    _ = Vhdx.RegionTableEntry(self._io, self, self._root)
                    self._m_up_to_entry.append(_)
                    if  ((int(_.kind) == self.kind_code) or (self._io.pos() >= self.end_of_entries)) :
                        break
                    i += 1
                self._io.seek(_pos)

            return getattr(self, '_m_up_to_entry', None)


    class RegionTable(KaitaiStruct):
        """One of two copies of the table of regions. Updates go through the log, so
        a table may be out of date as long as the log has not been replayed.
        
        .. seealso::
           [MS-VHDX] 2.2.3.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.RegionTable, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.signature = self._io.read_bytes(4)
            self.checksum = self._io.read_u4le()
            self.num_entries = self._io.read_u4le()
            self.reserved = self._io.read_u4le()
            self.entries = []
            for i in range((self.num_entries if self.num_entries <= 2047 else 0)):
                self.entries.append(Vhdx.RegionTableEntry(self._io, self, self._root))



        def _fetch_instances(self):
            pass
            for i in range(len(self.entries)):
                pass
                self.entries[i]._fetch_instances()

            _ = self.unused
            if hasattr(self, '_m_unused'):
                pass


        @property
        def is_signature_valid(self):
            """Whether the signature is right. The checksum is not looked at."""
            if hasattr(self, '_m_is_signature_valid'):
                return self._m_is_signature_valid

            self._m_is_signature_valid = self.signature == b"\x72\x65\x67\x69"
            return getattr(self, '_m_is_signature_valid', None)

        @property
        def unused(self):
            """Reserved; covered by the checksum. Not part of `seq`, so that nobody
            has to read it.
            """
            if hasattr(self, '_m_unused'):
                return self._m_unused

            _pos = self._io.pos()
            self._io.seek(16 + len(self.entries) * 32)
            self._m_unused = self._io.read_bytes_full()
            self._io.seek(_pos)
            return getattr(self, '_m_unused', None)


    class RegionTableChoice(KaitaiStruct):
        """View; the first copy of the region table when its signature is right and
        its count possible, otherwise the second. The real choice needs the
        checksums.
        
        .. seealso::
           [MS-VHDX] 2.2.3.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_table_1, ofs_table_2, _io, _parent=None, _root=None):
            super(Vhdx.RegionTableChoice, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_table_1 = ofs_table_1
            self.ofs_table_2 = ofs_table_2
            self._read()

        def _read(self):
            pass


        def _fetch_instances(self):
            pass
            _ = self.num_entries_1
            if hasattr(self, '_m_num_entries_1'):
                pass

            _ = self.signature_1
            if hasattr(self, '_m_signature_1'):
                pass


        @property
        def chosen(self):
            """The copy, for people."""
            if hasattr(self, '_m_chosen'):
                return self._m_chosen

            self._m_chosen = (u"region table 1" if self.is_first else u"region table 2")
            return getattr(self, '_m_chosen', None)

        @property
        def is_first(self):
            """Whether region table 1 is in the file and may be what it should be."""
            if hasattr(self, '_m_is_first'):
                return self._m_is_first

            self._m_is_first = ( ((self.signature_1 == b"\x72\x65\x67\x69") and (self.num_entries_1 <= 2047))  if self._io.size() >= self.ofs_table_1 + 16 else False)
            return getattr(self, '_m_is_first', None)

        @property
        def num_entries_1(self):
            """Entries of region table 1, as they are counted there."""
            if hasattr(self, '_m_num_entries_1'):
                return self._m_num_entries_1

            _pos = self._io.pos()
            self._io.seek(self.ofs_table_1 + 8)
            self._m_num_entries_1 = self._io.read_u4le()
            self._io.seek(_pos)
            return getattr(self, '_m_num_entries_1', None)

        @property
        def ofs_table(self):
            """File offset of this copy in bytes."""
            if hasattr(self, '_m_ofs_table'):
                return self._m_ofs_table

            self._m_ofs_table = (self.ofs_table_1 if self.is_first else self.ofs_table_2)
            return getattr(self, '_m_ofs_table', None)

        @property
        def signature_1(self):
            """Signature of region table 1."""
            if hasattr(self, '_m_signature_1'):
                return self._m_signature_1

            _pos = self._io.pos()
            self._io.seek(self.ofs_table_1)
            self._m_signature_1 = self._io.read_bytes(4)
            self._io.seek(_pos)
            return getattr(self, '_m_signature_1', None)


    class RegionTableEntry(KaitaiStruct):
        """Place of one region.
        
        .. seealso::
           [MS-VHDX] 2.2.3.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.RegionTableEntry, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.guid = Vhdx.Guid(self._io, self, self._root)
            self.file_offset = self._io.read_u8le()
            self.length = self._io.read_u4le()
            self.required = self._io.read_u4le()


        def _fetch_instances(self):
            pass
            self.guid._fetch_instances()

        @property
        def kind(self):
            """The region's kind, as far as the specification names it."""
            if hasattr(self, '_m_kind'):
                return self._m_kind

            self._m_kind = (Vhdx.RegionKind.bat_region if self.guid.raw == b"\x66\x77\xC2\x2D\x23\xF6\x00\x42\x9D\x64\x11\x5E\x9B\xFD\x4A\x08" else (Vhdx.RegionKind.metadata_region if self.guid.raw == b"\x06\xA2\x7C\x8B\x90\x47\x9A\x4B\xB8\xFE\x57\x5F\x05\x0F\x88\x6E" else Vhdx.RegionKind.other_region))
            return getattr(self, '_m_kind', None)


    class SectorBitmapBatEntry(KaitaiStruct):
        """Entry of the BAT for a sector bitmap block.
        
        .. seealso::
           [MS-VHDX] 2.5.1.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.SectorBitmapBatEntry, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.state = KaitaiStream.resolve_enum(Vhdx.SectorBitmapState, self._io.read_bits_int_le(3))
            self.reserved = self._io.read_bits_int_le(17)
            self.file_offset_mb_low = self._io.read_bits_int_le(12)
            self.file_offset_mb_high = self._io.read_u4le()


        def _fetch_instances(self):
            pass

        @property
        def file_offset_mb(self):
            """Where the sector bitmap is, in MiB from the start of the file."""
            if hasattr(self, '_m_file_offset_mb'):
                return self._m_file_offset_mb

            self._m_file_offset_mb = ((self.file_offset_mb_high * 4096) + self.file_offset_mb_low)
            return getattr(self, '_m_file_offset_mb', None)

        @property
        def is_stored(self):
            """Whether the state says that the sector bitmap is in this file."""
            if hasattr(self, '_m_is_stored'):
                return self._m_is_stored

            self._m_is_stored = self.state == Vhdx.SectorBitmapState.bitmap_present
            return getattr(self, '_m_is_stored', None)

        @property
        def location(self):
            """Where the sector bitmap is, for people."""
            if hasattr(self, '_m_location'):
                return self._m_location

            self._m_location = ((u"at " + str(self.file_offset_mb)) + u" MiB" if self.is_stored else u"not in this file")
            return getattr(self, '_m_location', None)


    class SectorBitmapBlock(KaitaiStruct):
        """View; the sector bitmap of a chunk with its entry in the BAT. One bit for
        each logical sector, least significant bit first: 1 when the sector is in
        this file, 0 when it is in the parent. Counts for partially present
        payload blocks only.
        
        .. seealso::
           [MS-VHDX] 2.4 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, ofs_entry, _io, _parent=None, _root=None):
            super(Vhdx.SectorBitmapBlock, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self.ofs_entry = ofs_entry
            self._read()

        def _read(self):
            self.raw_entry = self._io.read_bytes(8)


        def _fetch_instances(self):
            pass
            _ = self.data
            if hasattr(self, '_m_data'):
                pass

            _ = self.entry
            if hasattr(self, '_m_entry'):
                pass
                self._m_entry._fetch_instances()


        @property
        def data(self):
            """The bitmap."""
            if hasattr(self, '_m_data'):
                return self._m_data

            if self.has_data:
                pass
                _pos = self._io.pos()
                self._io.seek(self.file_offset_mb * 1048576)
                self._m_data = self._io.read_bytes(1048576)
                self._io.seek(_pos)

            return getattr(self, '_m_data', None)

        @property
        def entry(self):
            if hasattr(self, '_m_entry'):
                return self._m_entry

            _pos = self._io.pos()
            self._io.seek(self.ofs_entry)
            self._m_entry = Vhdx.SectorBitmapBatEntry(self._io, self, self._root)
            self._io.seek(_pos)
            return getattr(self, '_m_entry', None)

        @property
        def file_offset_mb(self):
            """Where the bitmap is, in MiB from the start of the file."""
            if hasattr(self, '_m_file_offset_mb'):
                return self._m_file_offset_mb

            self._m_file_offset_mb = self.entry.file_offset_mb
            return getattr(self, '_m_file_offset_mb', None)

        @property
        def has_data(self):
            """Whether the bitmap is stored and lies inside the file."""
            if hasattr(self, '_m_has_data'):
                return self._m_has_data

            self._m_has_data =  ((self.is_stored) and (self._io.size() >= 1048576) and (self.file_offset_mb <= ((self._io.size() - 1048576) // 1048576))) 
            return getattr(self, '_m_has_data', None)

        @property
        def is_stored(self):
            """Whether the state says that the bitmap is in this file."""
            if hasattr(self, '_m_is_stored'):
                return self._m_is_stored

            self._m_is_stored = self.entry.is_stored
            return getattr(self, '_m_is_stored', None)


    class UnknownItem(KaitaiStruct):
        """Item of which the specification does not say what it is.
        
        .. seealso::
           [MS-VHDX] 2.6.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.UnknownItem, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.raw = self._io.read_bytes_full()


        def _fetch_instances(self):
            pass


    class UnrecognizedDescriptorBody(KaitaiStruct):
        """Same part of something that is no descriptor.
        
        .. seealso::
           [MS-VHDX] 2.3.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.UnrecognizedDescriptorBody, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.raw = self._io.read_bytes(12)


        def _fetch_instances(self):
            pass


    class UnusedSector(KaitaiStruct):
        """4096 bytes of the log at which neither an entry nor a data sector is.
        
        .. seealso::
           [MS-VHDX] 2.3.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.UnusedSector, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.signature = self._io.read_bytes(4)
            self.rest = self._io.read_bytes(4092)


        def _fetch_instances(self):
            pass


    class Utf16Field(KaitaiStruct):
        """UTF-16LE text in a field of fixed size, ended by a zero unit or by the end
        of the field.
        
        .. seealso::
           [MS-VHDX] 2.2.1 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.Utf16Field, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.units = []
            i = 0
            while True:
                _ = self._io.read_u2le()
                self.units.append(_)
                if  ((_ == 0) or (self._io.is_eof())) :
                    break
                i += 1


        def _fetch_instances(self):
            pass
            for i in range(len(self.units)):
                pass

            _ = self.text
            if hasattr(self, '_m_text'):
                pass


        @property
        def len_text(self):
            """Length of the text in bytes, without the zero at the end."""
            if hasattr(self, '_m_len_text'):
                return self._m_len_text

            self._m_len_text = (len(self.units) * 2 - 2 if self.units[-1] == 0 else len(self.units) * 2)
            return getattr(self, '_m_len_text', None)

        @property
        def text(self):
            """The text; a program should take the bytes and decode them tolerantly.
            """
            if hasattr(self, '_m_text'):
                return self._m_text

            _pos = self._io.pos()
            self._io.seek(0)
            self._m_text = (self._io.read_bytes(self.len_text)).decode(u"UTF-16LE")
            self._io.seek(_pos)
            return getattr(self, '_m_text', None)


    class VirtualDiskIdItem(KaitaiStruct):
        """Identity of the virtual disk, the same in a parent and its children.
        
        .. seealso::
           [MS-VHDX] 2.6.2.3 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.VirtualDiskIdItem, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.virtual_disk_id = Vhdx.Guid(self._io, self, self._root)


        def _fetch_instances(self):
            pass
            self.virtual_disk_id._fetch_instances()


    class VirtualDiskSizeItem(KaitaiStruct):
        """Size of the virtual disk.
        
        .. seealso::
           [MS-VHDX] 2.6.2.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.VirtualDiskSizeItem, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.virtual_disk_size = self._io.read_u8le()


        def _fetch_instances(self):
            pass


    class ZeroDescriptorBody(KaitaiStruct):
        """Part of a descriptor that asks for zeros.
        
        .. seealso::
           [MS-VHDX] 2.3.1.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        def __init__(self, _io, _parent=None, _root=None):
            super(Vhdx.ZeroDescriptorBody, self).__init__(_io)
            self._parent = _parent
            self._root = _root
            self._read()

        def _read(self):
            self.reserved = self._io.read_u4le()
            self.zero_length = self._io.read_u8le()


        def _fetch_instances(self):
            pass


    @property
    def bat(self):
        """Block allocation table, and after it the blocks of the disk.
        
        .. seealso::
           [MS-VHDX] 2.5 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_bat'):
            return self._m_bat

        if  ((self.region_of_bat.is_found) and (self.region_of_metadata.is_found)) :
            pass
            _pos = self._io.pos()
            self._io.seek(0)
            self._m_bat = Vhdx.BatView(self.region_of_bat.ofs_entry, self.region_of_metadata.ofs_entry, self._io, self, self._root)
            self._io.seek(_pos)

        return getattr(self, '_m_bat', None)

    @property
    def current_header(self):
        """Which copy of the header the log below is taken from.
        
        .. seealso::
           [MS-VHDX] 2.2.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_current_header'):
            return self._m_current_header

        _pos = self._io.pos()
        self._io.seek(0)
        self._m_current_header = Vhdx.HeaderChoice(65536, 131072, self._io, self, self._root)
        self._io.seek(_pos)
        return getattr(self, '_m_current_header', None)

    @property
    def current_region_table(self):
        """Which copy of the region table the regions below are taken from.
        
        .. seealso::
           [MS-VHDX] 2.2.3 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_current_region_table'):
            return self._m_current_region_table

        _pos = self._io.pos()
        self._io.seek(0)
        self._m_current_region_table = Vhdx.RegionTableChoice(196608, 262144, self._io, self, self._root)
        self._io.seek(_pos)
        return getattr(self, '_m_current_region_table', None)

    @property
    def header_1(self):
        """First copy of the header. Which copy is current is a matter of checksum
        and sequence number.
        
        .. seealso::
           [MS-VHDX] 2.2.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_header_1'):
            return self._m_header_1

        _pos = self._io.pos()
        self._io.seek(65536)
        self._raw__m_header_1 = self._io.read_bytes(4096)
        _io__raw__m_header_1 = KaitaiStream(BytesIO(self._raw__m_header_1))
        self._m_header_1 = Vhdx.Header(_io__raw__m_header_1, self, self._root)
        self._io.seek(_pos)
        return getattr(self, '_m_header_1', None)

    @property
    def header_2(self):
        """Second copy of the header.
        
        .. seealso::
           [MS-VHDX] 2.2.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_header_2'):
            return self._m_header_2

        _pos = self._io.pos()
        self._io.seek(131072)
        self._raw__m_header_2 = self._io.read_bytes(4096)
        _io__raw__m_header_2 = KaitaiStream(BytesIO(self._raw__m_header_2))
        self._m_header_2 = Vhdx.Header(_io__raw__m_header_2, self, self._root)
        self._io.seek(_pos)
        return getattr(self, '_m_header_2', None)

    @property
    def log(self):
        """The log that the current header names, live or stale.
        
        .. seealso::
           [MS-VHDX] 2.3 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_log'):
            return self._m_log

        if self.current_header.is_found:
            pass
            _pos = self._io.pos()
            self._io.seek(0)
            self._m_log = Vhdx.LogRing(self.current_header.ofs_header, self._io, self, self._root)
            self._io.seek(_pos)

        return getattr(self, '_m_log', None)

    @property
    def metadata(self):
        """Metadata items, and the table that lists them.
        
        .. seealso::
           [MS-VHDX] 2.6 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_metadata'):
            return self._m_metadata

        if self.region_of_metadata.is_found:
            pass
            _pos = self._io.pos()
            self._io.seek(0)
            self._m_metadata = Vhdx.MetadataView(self.region_of_metadata.ofs_entry, self._io, self, self._root)
            self._io.seek(_pos)

        return getattr(self, '_m_metadata', None)

    @property
    def region_of_bat(self):
        """Where the region table says that the BAT is.
        
        .. seealso::
           [MS-VHDX] 2.2.3.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_region_of_bat'):
            return self._m_region_of_bat

        _pos = self._io.pos()
        self._io.seek(0)
        self._m_region_of_bat = Vhdx.RegionLookup(self.current_region_table.ofs_table, int(Vhdx.RegionKind.bat_region), self._io, self, self._root)
        self._io.seek(_pos)
        return getattr(self, '_m_region_of_bat', None)

    @property
    def region_of_metadata(self):
        """Where the region table says that the metadata region is.
        
        .. seealso::
           [MS-VHDX] 2.2.3.2 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_region_of_metadata'):
            return self._m_region_of_metadata

        _pos = self._io.pos()
        self._io.seek(0)
        self._m_region_of_metadata = Vhdx.RegionLookup(self.current_region_table.ofs_table, int(Vhdx.RegionKind.metadata_region), self._io, self, self._root)
        self._io.seek(_pos)
        return getattr(self, '_m_region_of_metadata', None)

    @property
    def region_table_1(self):
        """First copy of the region table, as stored; a log that has to be replayed
        may change it.
        
        .. seealso::
           [MS-VHDX] 2.2.3 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_region_table_1'):
            return self._m_region_table_1

        _pos = self._io.pos()
        self._io.seek(196608)
        self._raw__m_region_table_1 = self._io.read_bytes(65536)
        _io__raw__m_region_table_1 = KaitaiStream(BytesIO(self._raw__m_region_table_1))
        self._m_region_table_1 = Vhdx.RegionTable(_io__raw__m_region_table_1, self, self._root)
        self._io.seek(_pos)
        return getattr(self, '_m_region_table_1', None)

    @property
    def region_table_2(self):
        """Second copy of the region table.
        
        .. seealso::
           [MS-VHDX] 2.2.3 - https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
        """
        if hasattr(self, '_m_region_table_2'):
            return self._m_region_table_2

        _pos = self._io.pos()
        self._io.seek(262144)
        self._raw__m_region_table_2 = self._io.read_bytes(65536)
        _io__raw__m_region_table_2 = KaitaiStream(BytesIO(self._raw__m_region_table_2))
        self._m_region_table_2 = Vhdx.RegionTable(_io__raw__m_region_table_2, self, self._root)
        self._io.seek(_pos)
        return getattr(self, '_m_region_table_2', None)


