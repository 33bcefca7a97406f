//! Keys and values as text: escaped for people, as JSON for programs. Both take any bytes.

use std::fmt::Write;

use serde_json::{Map, Value};

/// One line of text for any bytes: UTF-8 as it is, but for what would break the line or the terminal.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Adds bytes to a JSON object: a string under `name` if they are UTF-8, else hexadecimal under `name_hex`.
pub(super) fn add(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.into(), text.into()),
        Err(_) => {
            let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            object.insert(format!("{name}_hex"), hex.into())
        }
    };
}

/// Takes bytes out of a JSON object, as [`add`] put them there.
pub(super) fn take(object: &mut Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let hex_name = format!("{name}_hex");
    match (object.remove(name), object.remove(&hex_name)) {
        (Some(Value::String(text)), None) => Ok(text.into()),
        (None, Some(Value::String(hex))) => {
            unhex(&hex).ok_or_else(|| format!("`{hex_name}` is not hexadecimal: two digits for each byte"))
        }
        (None, None) => Err(format!("there is neither `{name}` nor `{hex_name}`")),
        (Some(_), Some(_)) => Err(format!("there are both `{name}` and `{hex_name}`")),
        _ => Err(format!("`{name}` is not a string")),
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let byte = |pair: &[u32]| u8::try_from(pair.first()? << 4 | pair.get(1)?).ok();
    digits.chunks(2).map(byte).collect()
}

/// One pair as a line of an export.
pub(super) fn pair(key: &[u8], value: &[u8]) -> Value {
    let mut object = Map::new();
    add(&mut object, "key", key);
    add(&mut object, "value", value);
    object.into()
}

/// Reads a line of an export.
pub(super) fn parse_pair(line: &str) -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut object: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let parsed = (take(&mut object, "key")?, take(&mut object, "value")?);
    match object.keys().next() {
        None => Ok(parsed),
        Some(unknown) => {
            Err(format!("`{unknown}` is unknown; a line has `key` and `value`, or `key_hex` and `value_hex`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_pair_comes_back_from_its_line() {
        for key in [&b"k"[..], b"", b"\xff\x00\n", "schlüssel\n\t\"".as_bytes()] {
            for value in [&b""[..], b"v", b"\x80"] {
                let line = pair(key, value).to_string();
                assert!(!line.contains('\n'));
                assert_eq!(parse_pair(&line), Ok((key.into(), value.into())), "{line}");
            }
        }
    }

    #[test]
    fn a_line_that_is_no_pair_is_refused_with_the_reason() {
        for (line, reason) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            (r#"{"value":"v"}"#, "neither `key` nor `key_hex`"),
            (r#"{"key":1,"value":"v"}"#, "not a string"),
            (r#"{"key":"k","key_hex":"00","value":"v"}"#, "both"),
            (r#"{"key_hex":"0","value":"v"}"#, "not hexadecimal"),
            (r#"{"key_hex":"0g","value":"v"}"#, "not hexadecimal"),
            (r#"{"key":"k","value":"v","ttl":"1"}"#, "`ttl` is unknown"),
        ] {
            let error = parse_pair(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn no_bytes_break_a_line_or_the_terminal() {
        assert_eq!(escaped("blå".as_bytes()), "blå");
        assert_eq!(escaped(b"a\tb\n\x1b[31m\\\xff"), r"a\tb\n\u{1b}[31m\\\xff");
    }
}
