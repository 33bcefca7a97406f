//! What to prove, by the names that people type.

use super::ast::Machine;
use super::obligation::{Obligation, obligations};
use super::without::Part;

/// The obligations that a name selects: a machine, an action, what is to be shown, or `ACTION:INVARIANT`. All of
/// them if there is no name.
pub fn selected<'a>(machines: &'a [Machine], names: &[String]) -> Result<Vec<Obligation<'a>>, String> {
    let all: Vec<_> = machines.iter().flat_map(obligations).collect();
    if let Some(name) = names.iter().find(|name| !all.iter().any(|it| is_called(it, name))) {
        return Err(name.clone());
    }
    let wanted = |it: &Obligation<'_>| names.is_empty() || names.iter().any(|name| is_called(it, name));
    Ok(all.into_iter().filter(wanted).collect())
}

fn is_called(obligation: &Obligation<'_>, name: &str) -> bool {
    let (machine, action, goal) =
        (&obligation.machine.name, obligation.action(), &obligation.statement().name);
    name == machine || name == action || name == goal || name == format!("{action}:{goal}")
}

/// Every name that selects something.
pub fn names(machines: &[Machine]) -> Vec<String> {
    let each = |it: &Obligation<'_>| {
        let (action, goal) = (it.action().to_string(), it.statement().name.clone());
        [it.machine.name.clone(), format!("{action}:{goal}"), action, goal]
    };
    let mut names: Vec<_> = machines.iter().flat_map(obligations).flat_map(|it| each(&it)).collect();
    names.sort();
    names.dedup();
    names
}

/// The machines that have a part of that name, `ACTION:GUARD`, an invariant or an axiom, without it.
pub fn without(machines: &[Machine], name: &str) -> Vec<Machine> {
    let lacking = |machine: &Machine| {
        Part::all(machine)
            .into_iter()
            .find(|part| part.name(machine) == name)
            .map(|part| machine.without(part))
    };
    machines.iter().filter_map(lacking).collect()
}

/// Every name of what can be left out.
pub fn parts(machines: &[Machine]) -> Vec<String> {
    let each =
        |machine: &Machine| Part::all(machine).into_iter().map(|part| part.name(machine)).collect::<Vec<_>>();
    machines.iter().flat_map(each).collect()
}
