//! The paths that metadata has. In: a JSON object as the door has checked it. Out: each dotted path at which a value stands, once. A path
//! ends where something stands that is no object; a step into an array means any of its elements. Of equal keys the last one counts, as
//! for jsonb. Here and not in Postgres, where it took a recursive query for each record. Pure.

use std::collections::{BTreeSet, HashMap};

use serde_json::value::RawValue;

/// All paths of one record's metadata.
pub(super) fn paths(metadata: &str) -> Result<BTreeSet<String>, serde_json::Error> {
    let mut found = BTreeSet::new();
    collect(serde_json::from_str(metadata)?, None, &mut found)?;
    Ok(found)
}

/// At most as deep as the door lets metadata be.
fn collect(
    value: &RawValue,
    path: Option<&str>,
    found: &mut BTreeSet<String>,
) -> Result<(), serde_json::Error> {
    match value.get().as_bytes().first() {
        Some(b'{') => {
            let members: HashMap<String, &RawValue> = serde_json::from_str(value.get())?;
            for (key, value) in members {
                match path {
                    None => collect(value, Some(&key), found)?,
                    Some(path) => collect(value, Some(&format!("{path}.{key}")), found)?,
                }
            }
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(value.get())?;
            elements.into_iter().try_for_each(|element| collect(element, path, found))?;
        }
        _ => {
            if let Some(path) = path.filter(|path| !found.contains(*path)) {
                found.insert(path.to_owned());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_where_no_object_stands() {
        for (metadata, wanted) in [
            (r#"{}"#, &[][..]),
            (r#"{"a":1,"b":{"c":null,"d":{"e":"x"}}}"#, &["a", "b.c", "b.d.e"]),
            (r#"{"a":{},"b":[],"c":[[]],"d":[{}]}"#, &[]),
            (r#"{"a":[1,2,{"b":true,"c":[{"d":1}]}]}"#, &["a", "a.b", "a.c.d"]),
            (r#"{"a.b":1,"a":{"b":2},"":{"":3},"x":{"":4}}"#, &[".", "a.b", "x."]),
            (r#"{"a":1,"a":{"b":2},"c":{"d":1},"c":{}}"#, &["a.b"]),
            (r#"{"a\"\n":1e400,"\u00e4":-0.5}"#, &["a\"\n", "ä"]),
        ] {
            let found: Vec<String> = paths(metadata).unwrap().into_iter().collect();
            assert_eq!(found, wanted, "{metadata}");
        }
        assert!(paths("{").is_err());
    }
}
