//! What the text of a YAML file says, with the position of every key and value.
//!
//! One parser gives both values and positions, so that a message never points at the wrong line.
//!
//! Invariant: whatever the text, the work is bounded, in depth and in the number of values with all aliases followed.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::node::{Key, Node, Value};
use super::problem::{Mistake, Path, Place, Position, shown};

/// The format itself is five levels deep.
const DEEPEST: usize = 32;

/// Several times the largest configuration that fits the file's limit and makes sense; stops aliases of aliases.
const MOST_VALUES: usize = 200_000;

/// A place that cannot be read on from.
pub(super) struct Broken {
    pub(super) at: Position,
    pub(super) mistake: Mistake,
    pub(super) help: Option<&'static str>,
}

/// What a text holds.
pub(super) struct Document {
    /// Its one document, if it has any: a file of comments has none.
    pub(super) root: Option<Rc<Node>>,
    /// Keys that were there already; the tree has the first of them.
    pub(super) duplicates: Vec<(Place, Mistake)>,
}

/// Reads the text.
pub(super) fn parse(text: &str) -> Result<Document, Broken> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    refuse_control_characters(text)?;
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| unreadable(&error))?;
        builder.event(event, span)?;
    }
    Ok(Document {
        root: builder.document,
        duplicates: builder.duplicates,
    })
}

/// The parser takes some of them for the end of the text, and would silently ignore what follows.
fn refuse_control_characters(text: &str) -> Result<(), Broken> {
    for (number, line) in text.split('\n').enumerate() {
        let control = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\u{85}');
        if let Some(column) = line.chars().position(control) {
            let at = Position {
                line: number + 1,
                column: column + 1,
            };
            return Err(broken(
                at,
                "a control character, which YAML does not allow",
                None,
            ));
        }
    }
    Ok(())
}

fn unreadable(error: &ScanError) -> Broken {
    let help = match error.info() {
        info if info.contains("tab") => Some("indent with spaces"),
        info if info.contains("anchor or alias") => Some("put a `*` or `&` in quotes: `\"*\"`"),
        _ => None,
    };
    broken(
        position(*error.marker()),
        &format!("this is not YAML: {}", error.info()),
        help,
    )
}

fn broken(at: Position, what: &str, help: Option<&'static str>) -> Broken {
    let mistake = Mistake::syntax(what);
    Broken { at, mistake, help }
}

fn position(marker: Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

/// A list or map that is not complete yet.
struct Open {
    at: Position,
    anchor: usize,
    size: usize,
    holds: Holds,
}

enum Holds {
    List(Vec<Rc<Node>>),
    Map {
        entries: Vec<(Key, Rc<Node>)>,
        lines: HashMap<String, usize>,
        key: Option<Key>,
    },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    document: Option<Rc<Node>>,
    duplicates: Vec<(Place, Mistake)>,
    values: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let at = position(span.start);
        match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                let help = "write it without the tag, in quotes if it is text";
                Err(broken(
                    at,
                    "tags such as `!!str` have no meaning here",
                    Some(help),
                ))
            }
            Event::Scalar(text, style, anchor, None) => {
                let plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                self.complete(at, anchor, 1, Value::Scalar { text, plain })
            }
            Event::SequenceStart(anchor, None) => self.begin(at, anchor, Holds::List(Vec::new())),
            Event::MappingStart(anchor, None) => {
                let holds = Holds::Map {
                    entries: Vec::new(),
                    lines: HashMap::new(),
                    key: None,
                };
                self.begin(at, anchor, holds)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(at, anchor),
            Event::DocumentStart(_) if self.document.is_some() => Err(broken(
                at,
                "a second document; a configuration is one",
                Some("remove the line `---`"),
            )),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, at: Position, anchor: usize, holds: Holds) -> Result<(), Broken> {
        if self.open.len() == DEEPEST {
            return Err(broken(at, "nested deeper than any configuration", None));
        }
        if matches!(
            self.open.last(),
            Some(Open {
                holds: Holds::Map { key: None, .. },
                ..
            })
        ) {
            return Err(broken(at, "a list or map as a key; keys are text", None));
        }
        let size = 1;
        self.open.push(Open {
            at,
            anchor,
            size,
            holds,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.holds {
            Holds::List(list) => Value::List(list),
            Holds::Map { entries, .. } => Value::Map(entries),
        };
        self.complete(open.at, open.anchor, open.size, value)
    }

    fn complete(
        &mut self,
        at: Position,
        anchor: usize,
        size: usize,
        value: Value,
    ) -> Result<(), Broken> {
        let node = Rc::new(Node { at, value, size });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.count(1, at)?;
        self.place(node, at)
    }

    /// An alias stands for the same node; what it holds is counted as if it were written out.
    fn alias(&mut self, at: Position, anchor: usize) -> Result<(), Broken> {
        let Some(node) = self.anchors.get(&anchor).map(Rc::clone) else {
            return Err(broken(at, "an alias inside of what it stands for", None));
        };
        self.count(node.size, at)?;
        self.place(node, at)
    }

    fn count(&mut self, values: usize, at: Position) -> Result<(), Broken> {
        self.values = self.values.saturating_add(values);
        if self.values > MOST_VALUES {
            return Err(broken(
                at,
                "more values than any configuration, with its aliases followed",
                None,
            ));
        }
        Ok(())
    }

    /// Puts a node where it belongs: into the innermost open list or map, as a key or a value.
    fn place(&mut self, node: Rc<Node>, at: Position) -> Result<(), Broken> {
        let Some(open) = self.open.last_mut() else {
            self.document = Some(node);
            return Ok(());
        };
        open.size = open.size.saturating_add(node.size);
        match &mut open.holds {
            Holds::List(list) => list.push(node),
            Holds::Map {
                entries,
                lines,
                key,
            } => match key.take() {
                None => *key = Some(key_of(&node, at)?),
                Some(key) => {
                    if let Some(first) = lines.get(&key.text).copied() {
                        self.duplicate(&key, first);
                    } else {
                        lines.insert(key.text.clone(), key.at.line);
                        entries.push((key, node));
                    }
                }
            },
        }
        Ok(())
    }

    /// Notes a duplicate key of the innermost open map; the first one counts while the reading goes on.
    fn duplicate(&mut self, key: &Key, first: usize) {
        let mut path = Path::default();
        for open in &self.open {
            path = match &open.holds {
                Holds::List(list) => path.index(list.len()),
                Holds::Map { key: outer, .. } => path.key(&outer.as_ref().unwrap_or(key).text),
            };
        }
        let place = path.at(key.at);
        let key = shown(&key.text).to_owned();
        let mistake = Mistake::DuplicateKey { key, first };
        self.duplicates.push((place, mistake));
    }
}

fn key_of(node: &Node, at: Position) -> Result<Key, Broken> {
    match &node.value {
        Value::Scalar { text, plain: true } if text == "<<" => {
            let help = "repeat the keys, or share a whole value with `&name` and `*name`";
            Err(broken(
                at,
                "merge keys (`<<`) are not supported",
                Some(help),
            ))
        }
        Value::Scalar { text, .. } => Ok(Key {
            at,
            text: text.clone(),
        }),
        Value::List(_) | Value::Map(_) => {
            Err(broken(at, "a list or map as a key; keys are text", None))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Position, Mistake) {
        match parse(text) {
            Ok(_) => panic!("this was read: {text}"),
            Err(broken) => (broken.at, broken.mistake),
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let level = |(name, of): (&str, char)| {
            let aliases = vec![format!("*{of}"); 10].join(", ");
            format!("{name}: &{name} [{aliases}]\n")
        };
        let names = ["b", "c", "d", "e", "f", "g", "h", "i"];
        let levels: String = names
            .into_iter()
            .zip("abcdefgh".chars())
            .map(level)
            .collect();
        let text = format!("a: &a [x, x, x, x, x, x, x, x, x, x]\n{levels}");
        assert!(refused(&text).1.to_string().contains("more values"));
    }

    #[test]
    fn depth_is_bounded_before_memory_is() {
        for open in ["[", "{a: ", "- "] {
            let text = open.repeat(100_000);
            let (_, mistake) = refused(&text);
            assert!(matches!(mistake, Mistake::Syntax { .. }));
        }
    }

    #[test]
    fn what_follows_a_nul_is_not_ignored() {
        let (at, _) = refused("version: 1\nlisten: {\0}");
        assert_eq!((at.line, at.column), (2, 10));
    }

    #[test]
    fn an_alias_cannot_hold_itself() {
        assert!(refused("a: &a [*a]").1.to_string().contains("alias"));
        assert!(refused("a: *nowhere").1.to_string().contains("anchor"));
    }
}
