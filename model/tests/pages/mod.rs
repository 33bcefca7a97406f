//! Tables that stand in pages of the project between marks, and are those of the code. `UPDATE_DOCS=1` writes them.

use std::sync::{Mutex, PoisonError};

/// Tests run at the same time, and several may write to one page.
static WRITING: Mutex<()> = Mutex::new(());

/// The text between two marks.
pub(crate) fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let from = text.find(&begin).unwrap_or_else(|| panic!("there is no {begin}")) + begin.len();
    &text[from..from + text[from..].find(&end).unwrap_or_else(|| panic!("there is no {end}"))]
}

/// Makes the part of the page what it should be, or says that it is not; `test` is the test that does so.
pub(crate) fn hold(path: &str, name: &str, table: &str, test: &str) {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let page = std::fs::read_to_string(path).expect("the page is there");
    let is = part(&page, name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let marks = |content: &str| format!("<!-- {name} -->\n{content}<!-- /{name} -->");
        std::fs::write(path, page.replace(&marks(is), &marks(table))).expect("the page is writable");
    } else {
        assert_eq!(is, table, "{path} is out of date: UPDATE_DOCS=1 cargo test -p model --test {test}");
    }
}
