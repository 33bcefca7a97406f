//! Scopes and variants by the names that people type.

use model::exit::{Exit, Failure};
use model::scope::{self, SCOPES, Scope};
use model::variant::{self, Description, Variant};

/// What shows all scopes and variants.
const LIST: &str = "model check --list";

/// The scope of that name.
pub(crate) fn scope_named(name: &str) -> Result<Scope, Failure> {
    let names = SCOPES.iter().map(|scope| scope.name);
    scope::named(name).cloned().ok_or_else(|| unknown("scope", name, names, LIST))
}

/// The variant of that name; the correct rules if none is named.
pub(crate) fn variant_named(name: Option<&str>) -> Result<Variant, Failure> {
    name.map_or(Ok(Variant::Correct), |name| Ok(variant_described(name)?.variant))
}

/// The description of the variant of that name.
pub(crate) fn variant_described(name: &str) -> Result<&'static Description, Failure> {
    let names = variant::all().flat_map(|variant| variant.alias.into_iter().chain([variant.name]));
    variant::named(name).ok_or_else(|| unknown("variant", name, names, LIST))
}

/// There is no such thing; maybe another was meant, and `list` shows all.
pub(crate) fn unknown<'a>(
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'a str>,
    list: &str,
) -> Failure {
    let meant = nearest(name, names).map_or_else(String::new, |name| format!("did you mean '{name}'? "));
    let message = format!("no {what} is called '{name}'; {meant}{list} shows all");
    Failure::new(Exit::Usage, message)
}

/// The name that is most like what was typed, if any is.
fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let different = |name: &str| {
        // A part of a name is as good as a slip of the finger.
        if typed.len() >= 4 && name.contains(typed) { 1 } else { distance(typed, name) }
    };
    let (differences, name) = names.map(|name| (different(name), name)).min()?;
    (differences <= typed.len() / 3 + 1).then_some(name)
}

/// How many letters must be put in, left out or changed to make one word of the other (Levenshtein 1966).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (place, &wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != wanted);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_nonsense_is_not() {
        let message = |name: &str| scope_named(name).expect_err("there is no such scope").message;
        assert!(message("agrement").contains("did you mean 'agreement'"), "{}", message("agrement"));
        assert!(message("confirmed").contains("did you mean 'confirmed-reads'"));
        assert!(!message("xyzzy").contains("did you mean"));
        let message = variant_named(Some("grant-forgoten")).expect_err("there is no such variant").message;
        assert!(message.contains("did you mean 'grant-forgotten'"), "{message}");
    }

    #[test]
    fn the_distance_is_that_of_the_least_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("lease", "lease"), 0);
    }
}
