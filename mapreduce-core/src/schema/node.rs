//! The structure of a type as a tree, as far as it has been seen, and its text.

/// A place in a type: what was asked for there.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) shape: Shape,
    /// The elements, fields or variants.
    pub(super) parts: Vec<Node>,
    /// Showing values to this variant of an enum teaches nothing any more, because it refuses them all.
    pub(super) given_up: bool,
}

#[derive(Debug, Default)]
pub(super) enum Shape {
    /// Not seen yet.
    #[default]
    Unknown,
    Scalar(&'static str),
    Option,
    Seq,
    Map,
    Tuple,
    /// A struct or variant without parts.
    Unit(&'static str),
    /// A struct or variant with nameless parts; a newtype is one with a single part.
    Parts(&'static str),
    /// A struct or variant with fields.
    Fields(&'static str, &'static [&'static str]),
    /// The parts are the variants, each a `Unit`, `Parts` or `Fields` of its own once it is seen.
    Enum(&'static str, &'static [&'static str]),
    /// The inside of a type that is already open further up.
    Recursion(&'static str),
}

impl Node {
    /// Whether there is nothing left to see below: another visit would show the same.
    pub(super) fn settled(&self) -> bool {
        self.given_up || (!matches!(self.shape, Shape::Unknown) && self.parts.iter().all(Node::settled))
    }

    /// Appends the text of the tree.
    pub(super) fn write(&self, out: &mut String) {
        match self.shape {
            Shape::Unknown => out.push('_'),
            Shape::Scalar(name) => out.push_str(name),
            Shape::Option => {
                self.parts[0].write(out);
                out.push('?');
            }
            Shape::Seq => {
                out.push('[');
                self.parts[0].write(out);
                out.push(']');
            }
            Shape::Map => {
                out.push('[');
                self.parts[0].write(out);
                out.push_str("=>");
                self.parts[1].write(out);
                out.push(']');
            }
            Shape::Tuple => self.write_parts(out),
            Shape::Unit(name) => {
                out.push_str(name);
                out.push(';');
            }
            Shape::Parts(name) => {
                out.push_str(name);
                self.write_parts(out);
            }
            Shape::Fields(name, fields) => {
                out.push_str(name);
                out.push('{');
                for (index, (field, part)) in fields.iter().zip(&self.parts).enumerate() {
                    separate(index, ',', out);
                    out.push_str(field);
                    out.push(':');
                    part.write(out);
                }
                out.push('}');
            }
            Shape::Enum(name, variants) => {
                out.push_str(name);
                out.push('<');
                for (index, (variant, part)) in variants.iter().zip(&self.parts).enumerate() {
                    separate(index, '|', out);
                    if matches!(part.shape, Shape::Unknown) {
                        out.push_str(variant);
                    }
                    part.write(out);
                }
                out.push('>');
            }
            Shape::Recursion(name) => {
                out.push('^');
                out.push_str(name);
            }
        }
    }

    /// The parts in parentheses, with a run of the same part written once and counted.
    fn write_parts(&self, out: &mut String) {
        let mut texts: Vec<(String, usize)> = Vec::new();
        for part in &self.parts {
            let mut text = String::new();
            part.write(&mut text);
            match texts.last_mut() {
                Some((last, count)) if *last == text => *count += 1,
                _ => texts.push((text, 1)),
            }
        }
        out.push('(');
        for (index, (text, count)) in texts.iter().enumerate() {
            separate(index, ',', out);
            out.push_str(text);
            if *count > 1 {
                out.push_str(&format!("*{count}"));
            }
        }
        out.push(')');
    }
}

fn separate(index: usize, separator: char, out: &mut String) {
    if index > 0 {
        out.push(separator);
    }
}
