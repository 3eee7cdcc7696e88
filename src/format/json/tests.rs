use super::super::text::Text;
use super::*;
use std::string::String;

/// Walks a text as an object with the keys `a` and `b`; gives back what was said of it.
fn walk(text: &[u8]) -> Result<String, String> {
    let mut notes = Text::<4096>::new();
    let mut reader = Reader::new(b"f", text, &mut notes);
    let mut places = [0; 2];
    let done = match reader.fields("a b", &mut places) {
        Ok(()) => {
            let mut values = String::new();
            for place in places {
                let text = reader.value(place, kind::TEXT | kind::NUMBER | kind::BOOL | kind::LIST);
                if text == Ok(true) {
                    values += core::str::from_utf8(&reader.string).unwrap_or("bytes");
                }
                values += "|";
            }
            Some(values)
        }
        Err(reason) => {
            reader.here();
            reader.bad(reason);
            None
        }
    };
    done.ok_or(notes.as_str().into())
}

#[test]
fn values_are_found_whatever_stands_around_them() {
    for (text, wanted) in [
        ("{}", "||"),
        (" \r\n\t{ } rest", "||"),
        (r#"{"a":"x","b":1}"#, "x|1|"),
        (r#"{"b":["x","y"],"a":-1.5e+3}"#, "x,y|-1.5e+3|"),
        (r#"{"A":true,"a":"later","B":null}"#, "later||"),
        (r#"{"a":"x","a":null}"#, "||"),
        (r#"{"c":{"a":[1,{"b":2}]},"b":[]}"#, "||"),
        (
            r#"{"\u0061":"\u00e4\n\t\"\\\/\b\f\r"}"#,
            "ä\n\t\"\\/\u{8}\u{c}\r||",
        ),
        (
            r#"{"a":"\ud83d\ude00\ud83dx\ude00"}"#,
            "😀\u{fffd}x\u{fffd}||",
        ),
        (r#"{"a":"\ud83d\u0041"}"#, "\u{fffd}A||"),
        ("{\"a\":\"\u{7f}ä\"}{]", "\u{7f}ä||"),
    ] {
        let wanted = if wanted.starts_with("x,y") {
            "-1.5e+3|x,y|"
        } else {
            wanted
        };
        assert_eq!(walk(text.as_bytes()).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    for (text, wanted) in [
        ("", "1:1: the file ends here, and something is missing"),
        ("[]", "1:1: must be an object, { ... }"),
        ("null", "1:1: null: must be an object, { ... }"),
        ("\u{feff}{}", "1:1: must be an object, { ... }"),
        ("{", "1:2: the file ends here, and something is missing"),
        (
            "{\"a\"",
            "1:5: the file ends here, and something is missing",
        ),
        (
            "{\"a\":",
            "1:6: the file ends here, and something is missing",
        ),
        (
            "{\"a\":1",
            "1:7: the file ends here, and something is missing",
        ),
        (
            "{\"a\":\"",
            "1:7: the file ends here, and something is missing",
        ),
        ("{\n  \"a\" 1}", "2:7: 1: one of : , ] } must stand here"),
        (
            "{\n  \"a\": 1\n  \"b\": 2}",
            "3:3: \"b\": one of : , ] } must stand here",
        ),
        ("{a:1}", "1:2: a: a key in double quotes must stand here"),
        ("{\"a\":1,}", "1:8: a key in double quotes must stand here"),
        ("{\"a\":[1,]}", "1:9: a JSON value must stand here"),
        ("{\"a\":[1}", "1:8: one of : , ] } must stand here"),
        ("{\"a\":nil}", "1:6: nil: a JSON value must stand here"),
        ("{\"a\":01}", "1:7: 1: one of : , ] } must stand here"),
        ("{\"a\":1.}", "1:8: must be a number"),
        ("{\"a\":-}", "1:7: must be a number"),
        ("{\"a\":1e}", "1:8: must be a number"),
        ("{\"a\":+1}", "1:6: +1: a JSON value must stand here"),
        ("{\"a\":'x'}", "1:6: a JSON value must stand here"),
        (
            "{\"a\":\"x\ny\"}",
            "1:8: unclosed string, or a control character or a wrong escape in it",
        ),
        (
            r#"{"a":"\x41"}"#,
            "1:8: x41: unclosed string, or a control character or a wrong escape in it",
        ),
        (
            r#"{"a":"\u00g1"}"#,
            "1:11: g1: unclosed string, or a control character or a wrong escape in it",
        ),
        (
            r#"{"a":"\u0000"}"#,
            "1:12: 0: a NUL or a line's end in the value",
        ),
        ("{\"a\":1 // x\n}", "1:8: one of : , ] } must stand here"),
    ] {
        let wanted = std::format!("Pouch: f:{wanted}\n");
        assert_eq!(walk(text.as_bytes()), Err(wanted), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested =
        |depth: usize| std::format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(walk(nested(16).as_bytes()).is_ok());
    for depth in [17, 10_000] {
        let words = walk(nested(depth).as_bytes()).unwrap_err();
        assert_eq!(words, "Pouch: f:1:22: nested too deep, 16 levels at most\n");
    }
}

#[test]
fn an_unknown_key_is_named_and_no_more_than_sixteen_are() {
    let mut notes = Text::<4096>::new();
    let mut text = String::from("{\"a\":1");
    for n in 0..40 {
        text += &std::format!(",\n\"k{n}\\u001b\u{1b}\":0");
    }
    // The control character is refused, in a key too; without it the keys are told.
    assert!(walk(text.as_bytes()).is_err());
    let text = text.replace('\u{1b}', "") + "}";
    let mut reader = Reader::new(b"dir/f", text.as_bytes(), &mut notes);
    assert_eq!(reader.fields("a b", &mut [0; 2]), Ok(()));
    let lines: std::vec::Vec<_> = notes.as_str().lines().collect();
    assert_eq!(lines.len(), 16);
    assert_eq!(
        lines[0],
        "Pouch: dir/f:2:1: \"k0\\u001b\": unknown key, left out"
    );
}

#[test]
fn a_value_of_another_kind_is_told() {
    let said = |text: &str, kinds: u8| {
        let mut notes = Text::<256>::new();
        let mut reader = Reader::new(b"f", text.as_bytes(), &mut notes);
        let mut places = [0; 1];
        reader.fields("a", &mut places).unwrap();
        let reason = reader.value(places[0], kinds).unwrap_err();
        reader.bad(reason);
        String::from(notes.as_str())
    };
    for (text, kinds, words) in [
        ("{\"a\": 7}", kind::TEXT, "1:7: 7: must be a string"),
        ("{\"a\": {}}", kind::TEXT, "1:7: must be a string"),
        (
            "{\"a\": \"x\"}",
            kind::LIST,
            "1:7: \"x\": must be a list of strings",
        ),
        (
            "{\"a\": [\"x\", 1]}",
            kind::LIST,
            "1:13: 1: must be a string",
        ),
        (
            "{\"a\": \"yes\"}",
            kind::BOOL,
            "1:7: \"yes\": must be true or false",
        ),
        ("{\"a\": true}", kind::NUMBER, "1:7: true: must be a number"),
    ] {
        assert_eq!(said(text, kinds), std::format!("Pouch: f:{words}\n"));
    }
}

#[test]
fn a_string_longer_than_a_spec_is_refused_where_it_is_wanted() {
    let long = "x".repeat(SPEC_MAX + 1);
    let text = std::format!("{{\"c\":\"{long}\",\"a\":\"{long}\"}}");
    let mut notes = Text::<256>::new();
    let mut reader = Reader::new(b"f", text.as_bytes(), &mut notes);
    let mut places = [0; 1];
    assert_eq!(reader.fields("a", &mut places), Ok(()));
    assert_eq!(reader.value(places[0], kind::TEXT), Err(Reason::SpecFull));
}

#[test]
fn every_cut_and_every_flipped_byte_is_answered() {
    let text = br#"{"a":["x","\u00e4\ud83d\ude00",{"k":[1,-2.5e3,true,null]}],"b":"\n"} "#;
    for end in 0..text.len() {
        let _ = walk(&text[..end]);
    }
    for at in 0..text.len() {
        for value in [
            0, b'"', b'\\', b'{', b'[', b']', b'}', b',', b'u', 0x7f, 0xff,
        ] {
            let mut bytes = text.to_vec();
            bytes[at] = value;
            let _ = walk(&bytes);
        }
    }
}
