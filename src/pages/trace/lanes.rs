//! Marks of the resources of a trace. In: their names, the most important first. Out: a number for each; the first sixteen differ. Pure.

use std::collections::HashMap;

/// Eight colours, each as a square and as a ring; one more mark is that of no resource.
const LANES: usize = 16;

pub struct Lanes<'a>(HashMap<&'a str, usize>);

impl<'a> Lanes<'a> {
    pub fn new(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.enumerate().map(|(place, name)| (name, place % LANES)).collect())
    }

    pub fn of(&self, resource: Option<&str>) -> usize {
        resource.and_then(|name| self.0.get(name)).copied().unwrap_or(LANES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_differ_as_there_are_marks() {
        let names: Vec<String> = (0..18).map(|n| format!("service-{n}")).collect();
        let lanes = Lanes::new(names.iter().map(String::as_str));
        let seen: Vec<usize> = names.iter().map(|name| lanes.of(Some(name))).collect();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1]);
        assert_eq!((lanes.of(None), lanes.of(Some("unknown"))), (16, 16));
    }
}
