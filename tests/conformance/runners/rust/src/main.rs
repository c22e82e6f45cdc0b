//! Answers requests with the Rust parser; see the README of the kit.

mod accessors; // written by accessors.py
#[allow(dead_code, unused_parens, unused_variables)]
mod vhdx; // compiled beside this file

use std::cell::Ref;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;

use kaitai::{BytesReader, KResult, KStruct, OptRc};
use vhdx::Vhdx;

/// What a path leads to.
#[derive(Clone)]
pub enum Value {
    Answer(String, String),
    Absent,
    Object(Rc<dyn Node>),
    List(Rc<Vec<Value>>),
    Nothing,
}

impl Value {
    fn is_empty(&self) -> bool {
        match self {
            Value::Answer(kind, value) => kind == "bytes" && value.is_empty(),
            Value::List(list) => list.is_empty(),
            _ => false,
        }
    }
}

/// A structure, asked by the names of the grammar.
pub trait Node {
    fn get(&self, name: &str) -> KResult<Value>;
}

pub trait Show {
    fn show(&self) -> Value;
}

impl<T: Show> Show for Ref<'_, T> {
    fn show(&self) -> Value {
        (**self).show()
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Absent, Show::show)
    }
}

impl<T: Node + 'static> Show for OptRc<T> {
    fn show(&self) -> Value {
        self.get_value()
            .as_ref()
            .map_or(Value::Absent, |rc| Value::Object(rc.clone()))
    }
}

impl<T: Node + 'static> Show for Vec<OptRc<T>> {
    fn show(&self) -> Value {
        Value::List(Rc::new(self.iter().map(Show::show).collect()))
    }
}

impl Show for Vec<u16> {
    fn show(&self) -> Value {
        Value::List(Rc::new(self.iter().map(Show::show).collect()))
    }
}

impl Show for Vec<u8> {
    fn show(&self) -> Value {
        plain(
            "bytes",
            self.iter().map(|byte| format!("{byte:02x}")).collect(),
        )
    }
}

impl Show for String {
    fn show(&self) -> Value {
        let units = self.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        plain("str", format!("\"{}\"", units.collect::<String>()))
    }
}

impl Show for bool {
    fn show(&self) -> Value {
        plain("bool", self.to_string())
    }
}

macro_rules! show_numbers {
    ($($number:ty)*) => {
        $(impl Show for $number {
            fn show(&self) -> Value {
                plain("int", self.to_string())
            }
        })*
    };
}
show_numbers!(u16 u32 u64 i8 i32 i64);

fn plain(kind: &str, value: String) -> Value {
    Value::Answer(kind.to_string(), value)
}

/// A value of an enum, which prints as `PascalCase`, or as `Unknown(5)` where it has no label.
pub fn label(kind: &str, printed: String) -> Value {
    if let Some(number) = printed.strip_prefix("Unknown(") {
        return plain(kind, number.trim_end_matches(')').to_string());
    }
    let mut name = String::new();
    for letter in printed.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    plain(kind, name)
}

/// A file that is parsed when a value of it is asked for.
///
/// What paths have led to is kept: the compiled parser reads an instance anew whenever it is asked.
struct Image {
    data: Vec<u8>,
    root: Option<OptRc<Vhdx>>,
    seen: HashMap<String, Value>,
}

impl Image {
    fn new(data: Vec<u8>) -> Image {
        Image {
            data,
            root: None,
            seen: HashMap::new(),
        }
    }

    fn forget(&mut self) {
        self.root = None;
        self.seen.clear();
    }

    fn follow(&mut self, path: &str) -> KResult<Value> {
        if self.root.is_none() {
            let reader = BytesReader::from(self.data.clone());
            self.root = Some(Vhdx::read_into::<_, Vhdx>(&reader, None, None)?);
        }
        let mut value = self.root.show();
        let mut place = String::new();
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            place = place + "." + step;
            if let Some(seen) = self.seen.get(&place) {
                value = seen.clone();
                continue;
            }
            value = match (&value, step.parse::<usize>()) {
                (Value::List(list), Ok(index)) => {
                    list.get(index).cloned().unwrap_or(Value::Nothing)
                }
                (Value::Object(object), Err(_)) => object.get(step)?,
                _ => Value::Nothing,
            };
            self.seen.insert(place.clone(), value.clone());
        }
        Ok(value)
    }

    fn answer(&mut self, asked: &str, path: &str) -> (String, String) {
        let (kind, text) = match self.follow(path) {
            // An absent array is an empty one here.
            Ok(value) if asked == "absent" && value.is_empty() => ("absent", String::new()),
            Ok(Value::Answer(kind, value)) => return (kind, value),
            Ok(Value::Absent) => ("absent", String::new()),
            Ok(Value::List(list)) => ("size", list.len().to_string()),
            Ok(Value::Object(_)) => ("object", String::new()),
            Ok(Value::Nothing) => ("nothing", "no such name or element".to_string()),
            Err(error) => ("error", format!("{error:?}")),
        };
        (kind.to_string(), text)
    }
}

fn main() -> std::io::Result<()> {
    let name = std::env::args().nth(1).expect("a file of requests");
    let mut image = Image::new(Vec::new());
    let mut answers = Vec::new();
    for line in std::fs::read_to_string(name)?.lines() {
        let (kind, path) = line.split_once('\t').expect("kind and path");
        if kind == "open" {
            image = Image::new(std::fs::read(path)?);
            writeln!(answers, "opened\t")?;
            std::io::stdout().write_all(&answers)?;
            answers.clear();
            continue;
        }
        let is_fresh = kind == "error" || kind == "broken_text";
        if is_fresh {
            image.forget();
        }
        let (got, text) = image.answer(kind, path);
        if is_fresh || got == "error" {
            image.forget();
        }
        writeln!(answers, "{got}\t{text}")?;
    }
    std::io::stdout().write_all(&answers)
}
