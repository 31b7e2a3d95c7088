//! From tokens to a tree (RFC 5228 section 8.2), with a stack of its own: a script cannot make it deep.
//!
//! ```text
//! commands  = *command
//! command   = identifier arguments (";" / block)
//! arguments = *argument [test / test-list]
//! block     = "{" commands "}"
//! test      = identifier arguments
//! test-list = "(" test *("," test) ")"
//! argument  = string-list / number / tag
//! ```

use std::iter::Peekable;
use std::vec::IntoIter;

use crate::lex::{self, Kind, Token};
use crate::limits;
use crate::problem::Problem;
use crate::tree::{Argument, Command, Test, Tests, Value};

/// The commands of a script, up to the first place where it cannot be understood.
pub(crate) fn parse(script: &[u8]) -> (Vec<Command>, Option<Problem>) {
    let (tokens, problem) = lex::tokens(script);
    let last = tokens.last().map_or(1, |token| token.line);
    let cut = problem.is_some();
    let mut parser =
        Parser { tokens: tokens.into_iter().peekable(), open: Vec::new(), root: Vec::new(), last, cut };
    let wrong = parser.script().err();
    (parser.root, problem.or(wrong))
}

/// What is not yet at its end, from outside to inside.
enum Open {
    /// Its arguments are read.
    Command(Command),
    Block(Vec<Command>),
    Test(Test),
    /// Tests in parentheses; whether one must follow.
    List(Vec<Test>, bool),
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    open: Vec<Open>,
    root: Vec<Command>,
    /// The line of the last token.
    last: u32,
    /// The tokens end in the middle: that was reported.
    cut: bool,
}

impl Parser {
    fn script(&mut self) -> Result<(), Problem> {
        while let Some(token) = self.tokens.peek() {
            let line = token.line;
            match self.open.pop() {
                None => self.in_block(None, line)?,
                Some(Open::Block(commands)) => self.in_block(Some(commands), line)?,
                Some(Open::Command(command)) => self.in_command(command, line)?,
                Some(Open::Test(test)) => self.in_test(test, line)?,
                Some(Open::List(tests, wanted)) => self.in_list(tests, wanted, line)?,
            }
        }
        match self.open.last() {
            None => Ok(()),
            Some(_) if self.cut => Ok(()),
            Some(Open::Block(_)) => Err(Problem::new(self.last, "} missing at the end")),
            Some(_) => Err(Problem::new(self.last, "; missing at the end")),
        }
    }

    /// Where a command may begin. None: outside of all blocks.
    fn in_block(&mut self, commands: Option<Vec<Command>>, line: u32) -> Result<(), Problem> {
        match (self.tokens.next().map(|token| token.kind), commands) {
            (Some(Kind::Identifier(name)), commands) => {
                self.open.extend(commands.map(Open::Block));
                let command = Command { line, name, arguments: Vec::new(), tests: Tests::None, block: None };
                self.open.push(Open::Command(command));
                Ok(())
            }
            (Some(Kind::Symbol(b'}')), Some(commands)) => {
                if let Some(Open::Command(command)) = self.open.pop() {
                    self.finish(Command { block: Some(commands), ..command });
                }
                Ok(())
            }
            (Some(found), _) => Err(unexpected(line, &found, "a command")),
            (None, _) => Ok(()),
        }
    }

    fn in_command(&mut self, mut command: Command, line: u32) -> Result<(), Problem> {
        match self.symbol() {
            Some(b';') => {
                self.tokens.next();
                self.finish(command);
            }
            Some(b'{') => {
                self.tokens.next();
                self.open.push(Open::Command(command));
                self.deeper(line, "block", limits::BLOCKS, |open| matches!(open, Open::Block(_)))?;
                self.open.push(Open::Block(Vec::new()));
            }
            _ if command.tests != Tests::None => return Err(self.wrong(line, "; or a block")),
            _ => match self.argument(line)? {
                Some(argument) => {
                    command.arguments.push(argument);
                    self.open.push(Open::Command(command));
                }
                None => {
                    self.open.push(Open::Command(command));
                    self.begin_tests(line, "an argument, ; or a block")?;
                }
            },
        }
        Ok(())
    }

    fn in_test(&mut self, mut test: Test, line: u32) -> Result<(), Problem> {
        if let Some(b',' | b')' | b';' | b'{') = self.symbol() {
            self.attach(test);
            return Ok(());
        }
        if test.tests != Tests::None {
            return Err(self.wrong(line, "the end of the test"));
        }
        match self.argument(line)? {
            Some(argument) => {
                test.arguments.push(argument);
                self.open.push(Open::Test(test));
                Ok(())
            }
            None => {
                self.open.push(Open::Test(test));
                self.begin_tests(line, "an argument or the end of the test")
            }
        }
    }

    fn in_list(&mut self, tests: Vec<Test>, wanted: bool, line: u32) -> Result<(), Problem> {
        match (self.tokens.next().map(|token| token.kind), wanted) {
            (Some(Kind::Identifier(name)), true) => {
                self.open.push(Open::List(tests, false));
                self.begin_test(line, name)
            }
            (Some(Kind::Symbol(b',')), false) => {
                self.open.push(Open::List(tests, true));
                Ok(())
            }
            (Some(Kind::Symbol(b')')), false) => {
                match self.open.last_mut() {
                    Some(Open::Command(command)) => command.tests = Tests::List(tests),
                    Some(Open::Test(test)) => test.tests = Tests::List(tests),
                    _ => {}
                }
                Ok(())
            }
            (Some(found), true) => Err(unexpected(line, &found, "a test")),
            (Some(found), false) => Err(unexpected(line, &found, ", or )")),
            (None, _) => Ok(()),
        }
    }

    /// A test or a list of them, behind the arguments of what was opened last.
    fn begin_tests(&mut self, line: u32, wanted: &str) -> Result<(), Problem> {
        match self.tokens.next().map(|token| token.kind) {
            Some(Kind::Identifier(name)) => self.begin_test(line, name),
            Some(Kind::Symbol(b'(')) => {
                self.open.push(Open::List(Vec::new(), true));
                Ok(())
            }
            Some(found) => Err(unexpected(line, &found, wanted)),
            None => Ok(()),
        }
    }

    fn begin_test(&mut self, line: u32, name: String) -> Result<(), Problem> {
        self.deeper(line, "test", limits::TESTS, |open| matches!(open, Open::Test(_)))?;
        let test = Test { line, name, arguments: Vec::new(), tests: Tests::None };
        self.open.push(Open::Test(test));
        Ok(())
    }

    fn deeper(&self, line: u32, what: &str, most: usize, is: impl Fn(&Open) -> bool) -> Result<(), Problem> {
        if self.open.iter().filter(|open| is(open)).count() < most {
            return Ok(());
        }
        Err(Problem::new(line, format!("a {what} in more than {most} others")))
    }

    /// A tag, number, string or list of strings.
    fn argument(&mut self, line: u32) -> Result<Option<Argument>, Problem> {
        let is_symbol = |byte| move |token: &Token| token.kind == Kind::Symbol(byte);
        let value = match self.tokens.peek().map(|token| &token.kind) {
            Some(Kind::Tag(_) | Kind::Number(_) | Kind::String(_)) => {
                match self.tokens.next().map(|t| t.kind) {
                    Some(Kind::Tag(name)) => Value::Tag(name),
                    Some(Kind::Number(number)) => Value::Number(number),
                    Some(Kind::String(text)) => Value::String(text),
                    _ => return Ok(None),
                }
            }
            Some(Kind::Symbol(b'[')) => {
                self.tokens.next();
                let mut texts = Vec::new();
                loop {
                    match self.tokens.next() {
                        Some(Token { line, kind: Kind::String(text) }) => texts.push((line, text)),
                        Some(found) => return Err(unexpected(found.line, &found.kind, "a string")),
                        None => return Err(Problem::new(line, "this list does not end")),
                    }
                    if self.tokens.next_if(is_symbol(b']')).is_some() {
                        break Value::List(texts);
                    }
                    if self.tokens.next_if(is_symbol(b',')).is_none() {
                        return Err(self.wrong(line, ", or ] in the list of strings"));
                    }
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Argument { line, value }))
    }

    fn symbol(&mut self) -> Option<u8> {
        match self.tokens.peek()?.kind {
            Kind::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    /// A command is at its end.
    fn finish(&mut self, command: Command) {
        match self.open.last_mut() {
            Some(Open::Block(commands)) => commands.push(command),
            _ => self.root.push(command),
        }
    }

    /// A test is at its end.
    fn attach(&mut self, test: Test) {
        match self.open.last_mut() {
            Some(Open::Command(command)) => command.tests = Tests::One(Box::new(test)),
            Some(Open::Test(outer)) => outer.tests = Tests::One(Box::new(test)),
            Some(Open::List(tests, _)) => tests.push(test),
            Some(Open::Block(_)) | None => {}
        }
    }

    fn wrong(&mut self, line: u32, wanted: &str) -> Problem {
        match self.tokens.peek() {
            Some(token) => unexpected(token.line, &token.kind, wanted),
            None => Problem::new(line, format!("{wanted} missing")),
        }
    }
}

fn unexpected(line: u32, found: &Kind, wanted: &str) -> Problem {
    let found = match found {
        Kind::Identifier(name) => name.clone(),
        Kind::Tag(name) => format!(":{name}"),
        Kind::Number(number) => number.to_string(),
        Kind::String(_) => "a string".to_owned(),
        Kind::Symbol(symbol) => char::from(*symbol).to_string(),
    };
    Problem::new(line, format!("{found} stands where {wanted} must stand"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(commands: &[Command]) -> String {
        commands.iter().map(ToString::to_string).collect()
    }

    /// As a script would be read whose every word stands in line 0.
    fn without_lines(mut commands: Vec<Command>) -> Vec<Command> {
        fn arguments(all: &mut [Argument]) {
            for argument in all {
                argument.line = 0;
                if let Value::List(texts) = &mut argument.value {
                    texts.iter_mut().for_each(|(line, _)| *line = 0);
                }
            }
        }
        fn tests(all: &mut Tests) {
            let one = |test: &mut Test| {
                test.line = 0;
                arguments(&mut test.arguments);
                tests(&mut test.tests);
            };
            match all {
                Tests::None => {}
                Tests::One(test) => one(test),
                Tests::List(all) => all.iter_mut().for_each(one),
            }
        }
        for command in &mut commands {
            command.line = 0;
            arguments(&mut command.arguments);
            tests(&mut command.tests);
            command.block = command.block.take().map(without_lines);
        }
        commands
    }

    fn argument() -> impl Strategy<Value = Argument> {
        let text = || "[a-zé\"\\\\ $\\[{;#]{0,6}";
        let value = prop_oneof![
            "[a-z_][a-z0-9_]{0,4}".prop_map(Value::Tag),
            (0..=i64::MAX as u64).prop_map(Value::Number),
            text().prop_map(Value::String),
            prop::collection::vec(text().prop_map(|text| (0, text)), 1..4).prop_map(Value::List),
        ];
        value.prop_map(|value| Argument { line: 0, value })
    }

    fn tests() -> impl Strategy<Value = Tests> {
        let name = "[a-z_][a-z0-9_]{0,4}";
        let make =
            move |inner: BoxedStrategy<Tests>| {
                (name, prop::collection::vec(argument(), 0..3), inner)
                    .prop_map(|(name, arguments, tests)| Test { line: 0, name, arguments, tests })
            };
        Just(Tests::None).boxed().prop_recursive(4, 16, 3, move |inner| {
            prop_oneof![
                Just(Tests::None),
                make(inner.clone()).prop_map(|test| Tests::One(Box::new(test))),
                prop::collection::vec(make(inner), 1..4).prop_map(Tests::List),
            ]
        })
    }

    fn commands() -> impl Strategy<Value = Vec<Command>> {
        let command = |block: BoxedStrategy<Option<Vec<Command>>>| {
            let parts = ("[a-z_][a-z0-9_]{0,4}", prop::collection::vec(argument(), 0..3), tests(), block);
            parts.prop_map(|(name, arguments, tests, block)| Command {
                line: 0,
                name,
                arguments,
                tests,
                block,
            })
        };
        let leaf = prop::collection::vec(command(Just(None).boxed()), 0..3);
        leaf.prop_recursive(3, 16, 3, move |inner| {
            prop::collection::vec(command(prop::option::of(inner).boxed()), 0..3)
        })
    }

    proptest! {
        #[test]
        fn a_script_that_was_printed_is_the_same_script(commands in commands()) {
            let text = printed(&commands);
            let (read, problem) = parse(text.as_bytes());
            prop_assert_eq!(problem, None, "{}", text);
            prop_assert_eq!(without_lines(read), commands, "{}", text);
        }
    }
}
