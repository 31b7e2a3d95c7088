//! A script as a tree that knows no command (RFC 5228 section 8.2), and how it is printed.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub line: u32,
    /// As written; names have no case.
    pub name: String,
    pub arguments: Vec<Argument>,
    pub tests: Tests,
    /// None: `;`.
    pub block: Option<Vec<Command>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    pub line: u32,
    pub name: String,
    pub arguments: Vec<Argument>,
    pub tests: Tests,
}

/// The tests behind a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tests {
    #[default]
    None,
    /// `not x`
    One(Box<Test>),
    /// `anyof (x, y)`
    List(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub line: u32,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Without its colon.
    Tag(String),
    Number(u64),
    String(String),
    List(Vec<(u32, String)>),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        show(&self.arguments, &self.tests, f)?;
        let Some(block) = &self.block else { return f.write_str(";\n") };
        f.write_str(" {\n")?;
        block.iter().try_for_each(|command| command.fmt(f))?;
        f.write_str("}\n")
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        show(&self.arguments, &self.tests, f)
    }
}

fn show(arguments: &[Argument], tests: &Tests, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    arguments.iter().try_for_each(|argument| write!(f, " {}", argument.value))?;
    match tests {
        Tests::None => Ok(()),
        Tests::One(test) => write!(f, " {test}"),
        Tests::List(tests) => {
            f.write_str(" (")?;
            for (at, test) in tests.iter().enumerate() {
                write!(f, "{}{test}", if at == 0 { "" } else { ", " })?;
            }
            f.write_str(")")
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Tag(name) => write!(f, ":{name}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::String(text) => show_string(text, f),
            Value::List(texts) => {
                f.write_str("[")?;
                for (at, (_, text)) in texts.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    show_string(text, f)?;
                }
                f.write_str("]")
            }
        }
    }
}

fn show_string(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
