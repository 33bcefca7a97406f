//! S-expressions as they stand in a file: what every form is, and where.

use std::fmt;

/// A place in a file, both counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// What is wrong with a machine, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// The file, as a person calls it.
    pub file: String,
    /// The place in it.
    pub at: Position,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.at.line, self.at.column, self.message)
    }
}

impl std::error::Error for Wrong {}

/// One form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub content: Content,
}

/// What a form is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// A name or a number.
    Atom(String),
    /// Words between quotes.
    Text(String),
    /// Forms between parentheses.
    List(Vec<Form>),
}

impl Form {
    /// The name or number that it is.
    pub fn atom(&self) -> Option<&str> {
        if let Content::Atom(atom) = &self.content { Some(atom) } else { None }
    }

    /// The words that it is.
    pub fn text(&self) -> Option<&str> {
        if let Content::Text(text) = &self.content { Some(text) } else { None }
    }

    /// The forms that it holds.
    pub fn list(&self) -> Option<&[Form]> {
        if let Content::List(forms) = &self.content { Some(forms) } else { None }
    }
}

/// What is wrong, before it is known in which file.
pub type Unread = (Position, String);

/// Reads all forms of a text.
pub fn read(text: &str) -> Result<Vec<Form>, Unread> {
    let mut reader = Reader { letters: text.chars().peekable(), at: Position { line: 1, column: 1 } };
    let mut forms = Vec::new();
    while let Some(form) = reader.form()? {
        forms.push(form);
    }
    match reader.letters.next() {
        None => Ok(forms),
        Some(_) => Err((reader.at, "this ')' closes nothing; take it out, or open it before".into())),
    }
}

struct Reader<'a> {
    letters: std::iter::Peekable<std::str::Chars<'a>>,
    at: Position,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.letters.next()?;
        if letter == '\n' {
            self.at = Position { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(letter)
    }

    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        if self.letters.peek().copied().is_some_and(wanted) { self.next() } else { None }
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            if self.next_if(|letter| letter == ';').is_some() {
                while self.next_if(|letter| letter != '\n').is_some() {}
            } else if self.next_if(char::is_whitespace).is_none() {
                return;
            }
        }
    }

    /// The next form; nothing at the end, or before a ')'.
    fn form(&mut self) -> Result<Option<Form>, Unread> {
        self.skip_blanks_and_comments();
        let at = self.at;
        let content = match self.letters.peek() {
            None | Some(')') => return Ok(None),
            Some('(') => self.list(at)?,
            Some('"') => self.words(at)?,
            Some(_) => self.atom(),
        };
        Ok(Some(Form { at, content }))
    }

    fn list(&mut self, at: Position) -> Result<Content, Unread> {
        self.next();
        let mut forms = Vec::new();
        while let Some(form) = self.form()? {
            forms.push(form);
        }
        match self.next() {
            Some(_) => Ok(Content::List(forms)),
            None => Err((at, "this '(' is never closed; its ')' is missing".into())),
        }
    }

    fn words(&mut self, at: Position) -> Result<Content, Unread> {
        self.next();
        let mut text = String::new();
        while let Some(letter) = self.next() {
            // A quote within the words is written twice.
            if letter == '"' && self.next_if(|letter| letter == '"').is_none() {
                return Ok(Content::Text(text));
            }
            text.push(letter);
        }
        Err((at, "this '\"' is never closed; a quote within the words is written twice".into()))
    }

    fn atom(&mut self) -> Content {
        let mut atom = String::new();
        while let Some(letter) =
            self.next_if(|letter| !letter.is_whitespace() && !matches!(letter, '(' | ')' | '"' | ';'))
        {
            atom.push(letter);
        }
        Content::Atom(atom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_have_their_places_and_comments_are_left_out() {
        let forms = read("; first\n(a \"say \"\"b\"\"\" ; second\n  (c))\n").expect("it is well-formed");
        let list = forms[0].list().expect("it is a list");
        assert_eq!((list[0].atom(), list[1].text()), (Some("a"), Some("say \"b\"")));
        let inner = &list[2];
        assert_eq!((inner.at, inner.list().map(<[Form]>::len)), (Position { line: 3, column: 3 }, Some(1)));
    }

    #[test]
    fn what_is_not_closed_is_told_where_it_was_opened() {
        for (text, line, column) in [("(a\n (b", 2, 2), ("(a)\n)", 2, 1), ("(a \"b)", 1, 4)] {
            let (at, message) = read(text).expect_err(text);
            assert_eq!(at, Position { line, column }, "{text}: {message}");
        }
    }
}
