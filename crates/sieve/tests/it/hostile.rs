//! Scripts that are meant to hold a delivery, or to bring it down.

use std::sync::Arc;

use sieve::{Envelope, Extensions, Limits, Location, Mail, Outcome, Run, compile, limits};

use crate::world::World;

fn problems(script: &str) -> String {
    let problems = compile(script.as_bytes(), Extensions::all()).expect_err("it is refused");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn outcome(script: &str, message: &[u8], world: &mut World) -> Outcome {
    let compiled = compile(script.as_bytes(), Extensions::all());
    let compiled = compiled.unwrap_or_else(|problems| panic!("{script}: {problems:?}"));
    world.run(compiled.program, message, Envelope::default()).0
}

#[test]
fn a_script_that_is_too_deep_or_too_long_is_refused_and_overflows_nothing() {
    let deep = |begin: &str, end: &str, times: usize| format!("{}{}", begin.repeat(times), end.repeat(times));
    assert_eq!(problems(&deep("if true {", "}", 100_000)), "line 1: more than 65536 words");
    assert!(problems(&deep("if true {", "}", 33)).contains("a block in more than 32 others"));
    assert!(compile(deep("if true {", "}", 32).as_bytes(), Extensions::all()).is_ok());
    let tests = format!("if {} true {{}}", "not ".repeat(40_000));
    assert!(problems(&tests).contains("a test in more than 100 others"), "{}", problems(&tests));
    let lists = format!("if {} true {} {{}}", "anyof (".repeat(99), ")".repeat(99));
    assert!(compile(lists.as_bytes(), Extensions::all()).is_ok());
    assert_eq!(
        problems(&" ".repeat(limits::SCRIPT + 1)),
        format!("line 1: longer than {} bytes", limits::SCRIPT)
    );
    let globals: String = (0..20_000).map(|at| format!("${{global.a{at}}}")).collect();
    let globals = format!("require [\"include\", \"variables\", \"fileinto\"]; fileinto \"{globals}\";");
    assert_eq!(problems(&globals), "line 1: more than 128 variables");
    // Each beginning of a reference would be looked at to the end.
    let braces = format!(
        "require [\"encoded-character\", \"variables\", \"fileinto\"]; fileinto \"{}\";",
        "${".repeat(500_000)
    );
    assert!(compile(braces.as_bytes(), Extensions::all()).is_ok());
    let mistakes = "foo;\n".repeat(20_000);
    let found = compile(mistakes.as_bytes(), Extensions::all()).expect_err("it is refused");
    assert_eq!(found.len(), limits::PROBLEMS);
}

#[test]
fn text_that_is_no_script_is_refused_wherever_it_is_cut() {
    let script = b"require [\"fileinto\", \"variables\"]; # \xff\nif allof (not header :matches [\"a\", \"b\"] \"*${1}\", \
        size :over 10K) { fileinto text:\n.x\n.\n; } elsif true { keep; } else { stop; }";
    assert!(compile(script, Extensions::all()).is_ok());
    for end in 0..script.len() {
        let _ = compile(&script[..end], Extensions::all());
        let mut changed = script.to_vec();
        for byte in [0, b'"', b'{', b')', b';', 0xff] {
            changed[end] = byte;
            let _ = compile(&changed, Extensions::all());
        }
    }
}

#[test]
fn a_message_is_kept_when_its_script_does_too_much() {
    let sets = "set \"a\" \"${a}${a}x\";\n".repeat(2000);
    let long = format!("require \"variables\";\n{sets}discard;");
    let found = outcome(&long, b"a: b\r\n\r\n", &mut World::default());
    let error = found.error.expect("it is stopped");
    assert_eq!(error.limit.map(|limit| limit.name), Some("sieve.INSTRUCTIONS"));
    assert!(found.keep.is_some() && found.effects.is_empty());

    let many: String = (0..40).map(|at| format!("fileinto \"box{at}\";\n")).collect();
    let found = outcome(&format!("require \"fileinto\";\n{many}"), b"a: b\r\n\r\n", &mut World::default());
    let error = found.error.expect("it is stopped");
    assert_eq!((error.line, error.limit.map(|limit| limit.name)), (34, Some("sieve.ACTIONS")));
    assert!(found.keep.is_some() && found.effects.is_empty());
}

#[test]
fn scripts_that_include_each_other_end() {
    let mut world = World::default();
    let mut put = |name: &str, script: &str| {
        world
            .scripts
            .insert((Location::Personal, name.to_owned()), format!("require \"include\";\n{script}"));
    };
    put("a", "include \"b\";");
    put("b", "include \"a\";");
    put("leaf", "");
    for at in 0..20 {
        put(&format!("deep{at}"), &format!("include \"deep{}\";", at + 1));
    }
    put("wide", &"include \"leaf\";".repeat(300));
    for (name, text) in [
        ("a", "include: a includes itself"),
        ("deep0", "limit reached: 10 (sieve.INCLUDE_DEPTH)"),
        ("wide", "limit reached: 255 (sieve.INCLUDES)"),
    ] {
        let script = format!("require \"include\"; include \"{name}\";");
        let found = outcome(&script, b"a: b\r\n\r\n", &mut world);
        assert_eq!(found.error.expect("it is stopped").text, text, "{name}");
        assert!(found.keep.is_some());
    }
}

#[test]
fn one_run_leaves_nothing_for_the_next_of_the_same_program() {
    let script = "require [\"variables\", \"imap4flags\", \"fileinto\"];\n\
        if string \"${seen}\" \"\" { set \"seen\" \"yes\"; addflag \"x\"; fileinto \"first\"; } else { fileinto \"second\"; }";
    let compiled = compile(script.as_bytes(), Extensions::all()).expect("it is well");
    let mail = Mail::new(&b"a: b\r\n\r\n"[..]);
    let run = || {
        let mut run = Run::new(Arc::clone(&compiled.program), &mail, Envelope::default(), Limits::default());
        run.go(&mut World::default(), u64::MAX).expect("it ends").effects
    };
    assert_eq!(run(), run());
}

#[test]
fn a_script_whose_patterns_take_too_much_memory_is_refused() {
    let script = |pattern: &str| {
        let test = |at| format!("if header :regex \"x{at}\" \"{pattern}\" {{}}\n");
        format!("require \"regex\";\n{}", (0..200).map(test).collect::<String>())
    };
    let found = problems(&script("[0-9]{1000}"));
    assert!(found.contains("the patterns of the script take more than 8388608 bytes"), "{found}");
    let found = problems(&script("[0-9]{100000}"));
    assert!(found.contains("line 9: header: bad pattern \"[0-9]{100000}\": its size exceeds"), "{found}");
    assert!(found.contains("line 11: the patterns of the script take more than"), "{found}");
    assert!(compile(script("(foo|bar)[0-9]+").as_bytes(), Extensions::all()).is_ok());
}

#[test]
fn a_script_that_makes_large_patterns_again_and_again_is_stopped() {
    let tests = "if header :regex \"a\" \"${x}\" {}\n".repeat(1000);
    let script =
        format!("require [\"variables\", \"regex\"];\nset \"x\" \"[0-9]{{1000}}\";\n{tests}discard;");
    let found = outcome(&script, b"a: b\r\n\r\n", &mut World::default());
    let limit = found.error.and_then(|error| error.limit);
    assert_eq!(limit.map(|limit| limit.name), Some("sieve.INSTRUCTIONS"));
}

#[test]
fn a_script_that_looks_for_very_many_fields_in_very_many_parts_is_stopped() {
    let names: Vec<String> = (0..2000).map(|at| format!("\"x{at}\"")).collect();
    let parts = "--b\r\nContent-Type: text/plain\r\n\r\n\r\n".repeat(4000);
    let fields = "a:\r\n".repeat(4000);
    let message = format!("{fields}Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    for test in ["header [NAMES] \"\"", "header :mime :anychild [NAMES] \"\""] {
        let test = test.replace("NAMES", &names.join(","));
        let script = format!(
            "require [\"mime\", \"foreverypart\"];\nforeverypart {{ if {test} {{ stop; }} }}\ndiscard;"
        );
        let found = outcome(&script, message.as_bytes(), &mut World::default());
        let limit = found.error.and_then(|error| error.limit);
        assert_eq!(limit.map(|limit| limit.name), Some("sieve.INSTRUCTIONS"), "{}", &script[..80]);
    }
}
