//! JSON, read strictly: doubled keys, deep nesting and unknown fields are refused, and everything that
//! is wrong with the values is told at once.

use super::problem::{Code, FieldError, Problem};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Objects and arrays inside each other.
pub const MAX_DEPTH: usize = 32;
/// More bad values than these are not listed.
const MAX_ERRORS: usize = 32;

/// What is told of a field that has to be there.
const MISSING: &str = "is missing";

/// Below it, a double that is whole is exactly that integer: 2⁵³.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a value must fulfil beyond its type.
pub trait Check {
    /// Adds what is wrong; `at` is the JSON pointer of this value.
    fn check(&self, at: &str, errors: &mut Vec<FieldError>);
}

/// Text into a value, refusing what [`serde_json`] would let pass.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let refusal = Cell::new(None);
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0, refusal: &refusal }.deserialize(&mut source).and_then(|value| source.end().map(|()| value));
    value.map_err(|error| syntax(&error, refusal.get()))
}

/// A value into `T`, with all errors at once.
pub fn read<T: DeserializeOwned + Check>(value: Value) -> Result<T, Problem> {
    if !value.is_object() {
        // A sequence would be taken for the fields in their order.
        return Err(Problem::validation(vec![FieldError { pointer: String::new(), detail: "must be an object".into() }]));
    }
    let mut errors = Vec::new();
    let read = lenient::<T>(value, &mut errors);
    if let Some(read) = &read {
        let absent: Vec<String> = errors.iter().map(|error| error.pointer.clone()).collect();
        let mut wrong = Vec::new();
        read.check("", &mut wrong);
        // What stands in for a missing value is nobody's fault.
        errors.extend(wrong.into_iter().filter(|error| !absent.contains(&error.pointer)));
    }
    match read {
        Some(read) if errors.is_empty() => Ok(read),
        _ => Err(Problem::validation(errors)),
    }
}

/// RFC 7396: `patch` over `target`.
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// Reads `T`; where a value does not fit, notes it, takes it out and tries again, so that the
/// values behind it are looked at too. Where one is missing, something stands in for it meanwhile.
fn lenient<T: DeserializeOwned>(mut value: Value, errors: &mut Vec<FieldError>) -> Option<T> {
    let mut gone = Gone::default();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let (pointer, fault) = (pointer(error.path()), error.into_inner().to_string());
        if let Some(field) = missing(&fault) {
            let pointer = format!("{pointer}/{field}");
            // An item of a list is left out where nothing could stand in for what it lacks.
            let told = gone.told(&pointer);
            let goes_on = stand_in::<T>(&mut value, &pointer) || {
                let taken = take_item(&mut value, &pointer);
                if let Some((item, _)) = pointer.rsplit_once('/').filter(|_| taken) {
                    gone.note(&value, item);
                }
                taken
            };
            // What was wrong and taken out is no longer there, but was.
            if !errors.iter().any(|error| error.pointer == told) {
                errors.push(FieldError::new(told, MISSING));
            }
            if !goes_on || errors.len() == MAX_ERRORS {
                return None;
            }
            continue;
        }
        let taken = !pointer.is_empty() && take(&mut value, &pointer);
        errors.push(FieldError::new(gone.told(&pointer), fault));
        if taken {
            gone.note(&value, &pointer);
        }
        if !taken || errors.len() == MAX_ERRORS {
            return None;
        }
    }
}

/// Removes the item of a list that the field at `pointer` belongs to. `false`: it belongs to none.
fn take_item(value: &mut Value, pointer: &str) -> bool {
    let Some((item, _)) = pointer.rsplit_once('/') else { return false };
    let is_item = item.rsplit_once('/').is_some_and(|(list, _)| value.pointer(list).is_some_and(Value::is_array));
    is_item && take(value, item)
}

/// The field that serde misses.
fn missing(fault: &str) -> Option<&str> {
    fault.strip_prefix("missing field `")?.split('`').next()
}

/// Puts something at `pointer` that fits there. `false`: nothing plain does.
fn stand_in<T: DeserializeOwned>(value: &mut Value, pointer_: &str) -> bool {
    let Some((parent, field)) = pointer_.rsplit_once('/') else { return false };
    [Value::from(0), Value::from(""), Value::from(false), Value::Array(Vec::new()), Value::Object(Map::new())].into_iter().any(
        |candidate| {
            let Some(Value::Object(fields)) = value.pointer_mut(parent) else { return false };
            fields.insert(field.to_owned(), candidate);
            let refused = serde_path_to_error::deserialize::<_, T>(&*value).is_err_and(|error| pointer(error.path()).starts_with(pointer_));
            !refused
        },
    )
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// Removes what `pointer` names. `false`: nothing was there.
fn take(value: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    let key = key.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => map.remove(&key).is_some(),
        Some(Value::Array(items)) => {
            key.parse().ok().filter(|index: &usize| *index < items.len()).map(|index| items.remove(index)).is_some()
        }
        _ => false,
    }
}

/// Items that were taken out of arrays: those behind them have moved up, but are told where they stood.
#[derive(Default)]
struct Gone(BTreeMap<String, BTreeSet<usize>>);

impl Gone {
    /// `pointer` as it was before anything was taken out.
    fn told(&self, pointer: &str) -> String {
        let mut told = String::new();
        for segment in pointer.split('/').skip(1) {
            let before = self.0.get(&told).zip(segment.parse::<usize>().ok());
            let place = before.map(|(gone, index)| gone.iter().fold(index, |index, gone| index + usize::from(*gone <= index)));
            told.push('/');
            told.push_str(&place.map_or(segment.to_owned(), |place| place.to_string()));
        }
        told
    }

    /// What stood at `pointer` was taken out of `value`.
    fn note(&mut self, value: &Value, pointer: &str) {
        let from_array = pointer.rsplit_once('/').and_then(|(parent, _)| value.pointer(parent)).is_some_and(Value::is_array);
        let told = self.told(pointer);
        if let Some((parent, Ok(index))) = told.rsplit_once('/').map(|(parent, key)| (parent, key.parse()))
            && from_array
        {
            self.0.entry(parent.to_owned()).or_default().insert(index);
        }
    }
}

fn syntax(error: &serde_json::Error, refusal: Option<Code>) -> Problem {
    let text = error.to_string();
    // serde_json gives up on numbers that no f64 holds while it still reads.
    if text.starts_with("number out of range") {
        return Problem::validation(vec![FieldError::new("", text)]);
    }
    // Its own guard stands at 128.
    let code = if text.starts_with("recursion limit") { Code::TooDeep } else { refusal.unwrap_or(Code::MalformedJson) };
    Problem::new(code, text)
}

/// Builds a [`Value`] and refuses doubled keys and deep nesting on the way.
struct Strict<'a> {
    depth: usize,
    refusal: &'a Cell<Option<Code>>,
}

impl Strict<'_> {
    fn inner<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            self.refusal.set(Some(Code::TooDeep));
            return Err(E::custom(format_args!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(Self { depth: self.depth + 1, refusal: self.refusal })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // `2.0` is the integer 2 (JSON Schema); beyond this bound a double no longer tells integers apart.
        if value.fract() == 0.0 && value.abs() < EXACT {
            return Ok(Value::Number((value as i64).into()));
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self.inner()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                self.refusal.set(Some(Code::DuplicateKey));
                return Err(A::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            let value = entries.next_value_seed(self.inner()?)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn code(text: &str) -> Code {
        parse(text.as_bytes()).expect_err("refused").code
    }

    #[test]
    fn what_serde_json_lets_pass_is_refused() {
        assert_eq!(code(r#"{"a":1,"a":2}"#), Code::DuplicateKey);
        assert_eq!(code(r#"{"a":[{"b":1,"b":2}]}"#), Code::DuplicateKey);
        assert_eq!(code(&"[".repeat(33)), Code::TooDeep);
        assert_eq!(code(&"[".repeat(10_000)), Code::TooDeep);
        assert_eq!(code("{"), Code::MalformedJson);
        assert_eq!(code("{} x"), Code::MalformedJson);
        assert_eq!(code(r#"{"a":1e400}"#), Code::Validation);
        let deepest = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(parse(deepest.as_bytes()).is_ok());
    }

    #[test]
    fn a_number_without_a_fraction_is_an_integer_however_it_is_written() {
        assert_eq!(parse(b"[30.0,3e1,-0.0,0.5]").expect("JSON").to_string(), "[30,30,0,0.5]");
        assert!(parse(b"1e300").expect("JSON").is_f64(), "no integer type holds it");
        assert_eq!(read::<Inner>(parse(br#"{"fps":6e1}"#).expect("JSON")).expect("read").fps, 60);
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        fps: u32,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        name: String,
        inner: Inner,
    }

    impl Check for Inner {
        fn check(&self, _: &str, _: &mut Vec<FieldError>) {}
    }

    impl Check for Outer {
        fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
            if self.inner.fps > 60 {
                errors.push(FieldError::new(format!("{at}/inner/fps"), "1 to 60"));
            }
        }
    }

    #[test]
    fn all_errors_are_told_at_once_with_their_pointers() {
        let value = parse(br#"{"nmae":"x","name":3,"inner":{"fps":"a","~/":1}}"#).expect("JSON");
        let problem = read::<Outer>(value).expect_err("refused");
        let mut pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/inner/fps", "/inner/~0~1", "/name", "/nmae"]);
        let value = parse(br#"{"name":3,"inner":{"fps":61}}"#).expect("JSON");
        let problem = read::<Outer>(value).expect_err("refused");
        assert_eq!(problem.errors.len(), 2, "wrong types and wrong ranges together: {problem:?}");
    }

    #[test]
    fn missing_fields_are_told_with_all_else_and_what_stands_in_for_them_is_not() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Needs {
            who: String,
            count: u8,
            list: Vec<String>,
            rest: Outer,
        }

        impl Check for Needs {
            fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
                if self.who.is_empty() {
                    errors.push(FieldError::new(format!("{at}/who"), "not empty"));
                }
                self.rest.check(&format!("{at}/rest"), errors);
                assert!(self.list.is_empty() && self.count == 0, "stand-ins");
            }
        }

        let problem = read::<Needs>(parse(br#"{"x":1,"rest":{"inner":{"fps":61}}}"#).expect("JSON")).expect_err("refused");
        let mut told: Vec<_> = problem.errors.iter().map(|error| (error.pointer.as_str(), error.detail == MISSING)).collect();
        told.sort_unstable();
        assert_eq!(told, [("/count", true), ("/list", true), ("/rest/inner/fps", false), ("/who", true), ("/x", false)]);
    }

    #[test]
    fn unknown_fields_alone_have_their_own_code() {
        let value = parse(br#"{"nmae":"x"}"#).expect("JSON");
        assert_eq!(read::<Outer>(value).expect_err("refused").code, Code::UnknownField);
    }

    #[test]
    fn a_merge_patch_follows_the_examples_of_rfc_7396() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        ] {
            let mut target: Value = serde_json::from_str(target).expect("JSON");
            merge(&mut target, serde_json::from_str(patch).expect("JSON"));
            assert_eq!(target.to_string(), expected);
        }
    }

    #[test]
    fn faults_in_a_list_are_told_where_they_stand_however_many_came_before_them() {
        #[derive(Debug, Deserialize)]
        struct List {
            #[serde(rename = "list")]
            _list: Vec<Item>,
        }

        #[derive(Debug, Deserialize)]
        struct Item {
            #[serde(rename = "n", default)]
            _n: Vec<u8>,
        }

        impl Check for List {
            fn check(&self, _: &str, _: &mut Vec<FieldError>) {}
        }

        let text = br#"{"list":[7,{"n":[1,-1,2,"x",300]},8,{"n":"x"},{},9]}"#;
        let problem = read::<List>(parse(text).expect("JSON")).expect_err("refused");
        let told: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(told, ["/list/0", "/list/1/n/1", "/list/1/n/3", "/list/1/n/4", "/list/2", "/list/3/n", "/list/5"]);
    }

    #[test]
    fn what_is_wrong_is_not_told_as_missing_too_and_what_lacks_something_moves_nobody() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Order {
            count: u32,
            items: Vec<Item>,
        }

        #[derive(Debug, Deserialize)]
        struct Item {
            #[serde(rename = "kind")]
            _kind: ItemKind,
        }

        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum ItemKind {
            Cup,
        }

        impl Check for Order {
            fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
                if self.count == 0 {
                    errors.push(FieldError::new(format!("{at}/count"), "1 or more"));
                }
                assert!(self.items.len() < 2);
            }
        }

        let problem = read::<Order>(parse(br#"{"count":-1,"items":[{},{"kind":"cup"},{},7]}"#).expect("JSON")).expect_err("refused");
        let mut told: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        told.sort_unstable();
        assert_eq!(told, ["/count", "/items/0/kind", "/items/2/kind", "/items/3"]);
    }
}
