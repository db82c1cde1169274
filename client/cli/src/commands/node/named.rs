//! How the parts of a cluster are named: by role and number, or by the address of their process.
use std::fmt;
use std::str::FromStr;

/// `sequencer/2`, `unit/3`, `materializer/7`, `node/7`, `10.0.0.1:9010`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Sequencer(u64),
    Unit(u64),
    /// By the number of its process.
    Materializer(u64),
    Node(u64),
    Address(String),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        let Some((role, number)) = text.split_once('/') else {
            return match text.contains(':') {
                true => crate::profile::check_sequencer(text).map(Named::Address),
                false => Err("name it as `dfsctl node list` does: sequencer/2, unit/3".into()),
            };
        };
        let number: u64 = number.parse().map_err(|_| "no number".to_string())?;
        match role {
            "sequencer" => Ok(Named::Sequencer(number)),
            "unit" => Ok(Named::Unit(number)),
            "materializer" => Ok(Named::Materializer(number)),
            "node" => Ok(Named::Node(number)),
            _ => Err("its role is sequencer, unit, materializer or node".into()),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Sequencer(id) => write!(f, "sequencer/{id}"),
            Named::Unit(id) => write!(f, "unit/{id}"),
            Named::Materializer(id) => write!(f, "materializer/{id}"),
            Named::Node(id) => write!(f, "node/{id}"),
            Named::Address(address) => f.write_str(address),
        }
    }
}

/// The number of a sequencer, with or without its role.
pub(super) fn sequencer(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix("sequencer/").unwrap_or(text);
    let number = number.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write its number, as in sequencer/2".into())
}

/// The number of a log unit, with or without its role.
pub(super) fn unit(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix("unit/").unwrap_or(text);
    let number = number.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write its number, as in unit/3".into())
}

#[cfg(test)]
mod tests {
    use super::{Named, sequencer, unit};

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in [
            "sequencer/2",
            "unit/3",
            "materializer/7",
            "node/7",
            "h:9010",
        ] {
            let named: Named = text.parse().expect("a name");
            assert_eq!(named.to_string(), text);
        }
        for bad in [
            "",
            "2",
            "sequencer",
            "sequencer/",
            "sequencer/x",
            "cook/1",
            "h:",
            "unit/-1",
        ] {
            assert!(bad.parse::<Named>().is_err(), "{bad}");
        }
        assert_eq!(sequencer("2"), Ok(2));
        assert_eq!(sequencer("sequencer/2"), Ok(2));
        assert!(unit("unit/3") == Ok(3) && unit("3") == Ok(3) && unit("sequencer/3").is_err());
        assert!(sequencer("unit/2").is_err() && sequencer("0").is_err());
    }
}
