//! As much of a Kaitai Struct runtime as the VHDX parser calls.
//!
//! The runtime of the Kaitai project is in no package registry: the crate of this name there is
//! something else. Whoever has it can put it in the place of this one.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::convert::TryInto;
use std::ops::Deref;
use std::rc::{Rc, Weak};

pub type KResult<T> = Result<T, KError>;

#[derive(Clone, Debug, PartialEq)]
pub enum KError {
    Eof,
    MissingRoot,
    MissingParent,
    CastError,
    EmptyIterator,
    BytesDecodingError,
    ValidationFailed(ValidationFailedError),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ValidationFailedError {
    pub kind: ValidationKind,
    pub src_path: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ValidationKind {
    NotEqual,
}

/// A structure, or none.
#[derive(Debug)]
pub struct OptRc<T>(Option<Rc<T>>);

impl<T> OptRc<T> {
    pub fn get_value(&self) -> &Option<Rc<T>> {
        &self.0
    }
}

impl<T> Clone for OptRc<T> {
    fn clone(&self) -> Self {
        OptRc(self.0.clone())
    }
}

impl<T> Default for OptRc<T> {
    fn default() -> Self {
        OptRc(None)
    }
}

impl<T> Deref for OptRc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the structure is absent")
    }
}

/// A structure elsewhere in the tree, not kept alive from here.
#[derive(Debug)]
pub struct SharedType<T>(RefCell<Weak<T>>);

impl<T> SharedType<T> {
    pub fn get(&self) -> KResult<OptRc<T>> {
        self.0
            .borrow()
            .upgrade()
            .map(|rc| OptRc(Some(rc)))
            .ok_or(KError::MissingParent)
    }

    pub fn set(&self, value: KResult<OptRc<T>>) {
        *self.0.borrow_mut() = value
            .ok()
            .and_then(|rc| rc.0)
            .map_or_else(Weak::new, |rc| Rc::downgrade(&rc));
    }

    pub fn get_value(&self) -> &RefCell<Weak<T>> {
        &self.0
    }
}

impl<T> Clone for SharedType<T> {
    fn clone(&self) -> Self {
        SharedType(RefCell::new(self.0.borrow().clone()))
    }
}

impl<T> Default for SharedType<T> {
    fn default() -> Self {
        SharedType(RefCell::new(Weak::new()))
    }
}

pub trait KStruct: Default + 'static {
    type Root: KStruct;
    type Parent: KStruct;

    fn read<S: KStream>(
        self_rc: &OptRc<Self>,
        io: &S,
        root: SharedType<Self::Root>,
        parent: SharedType<Self::Parent>,
    ) -> KResult<()>;

    fn read_into<S: KStream, T: KStruct>(
        io: &S,
        root: Option<SharedType<T::Root>>,
        parent: Option<SharedType<T::Parent>>,
    ) -> KResult<OptRc<T>> {
        Self::read_into_with_init(io, root, parent, &|_: &mut T| Ok(()))
    }

    /// The same, for a type with parameters, which `init` sets.
    fn read_into_with_init<S: KStream, T: KStruct>(
        io: &S,
        root: Option<SharedType<T::Root>>,
        parent: Option<SharedType<T::Parent>>,
        init: &dyn Fn(&mut T) -> KResult<()>,
    ) -> KResult<OptRc<T>> {
        let mut value = T::default();
        init(&mut value)?;
        let value = OptRc(Some(Rc::new(value)));
        let root = match root {
            Some(root) => root,
            None => {
                // Without a root, the structure is the root.
                let itself = SharedType::default();
                itself.set(Ok(value.clone()));
                (&itself as &dyn Any)
                    .downcast_ref::<SharedType<T::Root>>()
                    .ok_or(KError::MissingRoot)?
                    .clone()
            }
        };
        T::read(&value, io, root, parent.unwrap_or_default())?;
        Ok(value)
    }
}

/// The parent of structures that have several.
#[derive(Clone, Debug, Default)]
pub struct KStructUnit;

impl KStruct for KStructUnit {
    type Root = KStructUnit;
    type Parent = KStructUnit;

    fn read<S: KStream>(
        _: &OptRc<Self>,
        _: &S,
        _: SharedType<Self>,
        _: SharedType<Self>,
    ) -> KResult<()> {
        Ok(())
    }
}

pub trait KStream {
    fn clone(&self) -> BytesReader;
    fn size(&self) -> usize;
    fn pos(&self) -> usize;
    fn seek(&self, position: usize) -> KResult<()>;
    fn read_bytes(&self, len: usize) -> KResult<Vec<u8>>;
    fn read_bits_int_le(&self, count: u32) -> KResult<u64>;
    fn align_to_byte(&self) -> KResult<()>;

    fn is_eof(&self) -> bool {
        self.pos() >= self.size()
    }

    fn read_bytes_full(&self) -> KResult<Vec<u8>> {
        self.read_bytes(self.size().saturating_sub(self.pos()))
    }

    fn read_u2le(&self) -> KResult<u16> {
        Ok(u16::from_le_bytes(self.read_bytes(2)?.try_into().unwrap()))
    }

    fn read_u4le(&self) -> KResult<u32> {
        Ok(u32::from_le_bytes(self.read_bytes(4)?.try_into().unwrap()))
    }

    fn read_u8le(&self) -> KResult<u64> {
        Ok(u64::from_le_bytes(self.read_bytes(8)?.try_into().unwrap()))
    }
}

/// Bytes in memory with a position, which clones share.
#[derive(Clone, Debug, Default)]
pub struct BytesReader(Rc<State>);

#[derive(Debug, Default)]
struct State {
    data: Vec<u8>,
    position: Cell<usize>,
    bits: Cell<u64>,
    bit_count: Cell<u32>,
}

impl From<Vec<u8>> for BytesReader {
    fn from(data: Vec<u8>) -> Self {
        BytesReader(Rc::new(State {
            data,
            ..State::default()
        }))
    }
}

impl KStream for BytesReader {
    fn clone(&self) -> BytesReader {
        BytesReader(self.0.clone())
    }

    fn size(&self) -> usize {
        self.0.data.len()
    }

    fn pos(&self) -> usize {
        self.0.position.get()
    }

    fn seek(&self, position: usize) -> KResult<()> {
        self.0.position.set(position);
        self.align_to_byte()
    }

    fn read_bytes(&self, len: usize) -> KResult<Vec<u8>> {
        self.align_to_byte()?;
        let start = self.pos();
        let end = start.checked_add(len).ok_or(KError::Eof)?;
        let bytes = self.0.data.get(start..end).ok_or(KError::Eof)?.to_vec();
        self.0.position.set(end);
        Ok(bytes)
    }

    fn read_bits_int_le(&self, count: u32) -> KResult<u64> {
        let (mut bits, mut have) = (self.0.bits.get(), self.0.bit_count.get());
        while have < count {
            let byte = *self.0.data.get(self.pos()).ok_or(KError::Eof)?;
            self.0.position.set(self.pos() + 1);
            bits |= u64::from(byte) << have;
            have += 8;
        }
        self.0.bits.set(bits >> count);
        self.0.bit_count.set(have - count);
        Ok(bits & ((1 << count) - 1))
    }

    fn align_to_byte(&self) -> KResult<()> {
        self.0.bits.set(0);
        self.0.bit_count.set(0);
        Ok(())
    }
}

pub fn bytes_to_str(bytes: &Vec<u8>, encoding: &str) -> KResult<String> {
    if encoding != "UTF-16LE" || bytes.len() % 2 != 0 {
        return Err(KError::BytesDecodingError);
    }
    let units: Vec<u16> = bytes
        .chunks(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    String::from_utf16(&units).map_err(|_| KError::BytesDecodingError)
}

/// The remainder of a division, never negative.
pub fn modulo(number: i64, divisor: i64) -> i64 {
    number.rem_euclid(divisor)
}
