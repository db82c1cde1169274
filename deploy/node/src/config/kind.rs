//! What a value may be: its type, its bound, and how both are said.
use crate::config::RoleName;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use toml::Value;

/// What is allowed for a key.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Path,
    Text {
        bytes_max: usize,
    },
    /// An IP address and a port, 0 for a free one.
    Listen,
    /// host:port, where others find it.
    Address,
    /// http://host:port, of something beside the cluster.
    Url,
    /// Different ones.
    Addresses {
        most: usize,
    },
    Roles,
    /// Both ends are allowed.
    Whole {
        least: u64,
        most: u64,
    },
    OneOf(&'static [u64]),
    Flag,
}

/// A value that is not allowed; of a list: its place in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) element: Option<usize>,
}

const WHOLE: Wrong = Wrong { element: None };

impl Kind {
    /// As a message says it.
    pub fn allowed(self) -> String {
        match self {
            Kind::Path => "a path, as \"/var/lib/dfs\"".into(),
            Kind::Text { bytes_max } => format!("text, at most {bytes_max} bytes"),
            Kind::Listen => "an IP address and a port, as \"127.0.0.1:9010\"".into(),
            Kind::Address => "host:port, as \"node-1:9010\"".into(),
            Kind::Url => "http://host:port, as \"http://127.0.0.1:4317\"".into(),
            Kind::Addresses { most } => {
                format!("a list of host:port, each once, at most {most}")
            }
            Kind::Roles => "a list of \"sequencer\", \"unit\", \"materializer\", each once".into(),
            Kind::Whole { least, most } => format!("a whole number, {least} to {most}"),
            Kind::OneOf(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                format!("one of {}", numbers.join(", "))
            }
            Kind::Flag => "true or false".into(),
        }
    }

    pub(crate) fn check(self, value: &Value) -> Result<(), Wrong> {
        let holds = match (self, value) {
            (Kind::Path, Value::String(path)) => !path.is_empty(),
            (Kind::Text { bytes_max }, Value::String(text)) => text.len() <= bytes_max,
            (Kind::Listen, Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
            (Kind::Address, Value::String(text)) => is_address(text),
            (Kind::Url, Value::String(text)) => {
                text.strip_prefix("http://").is_some_and(is_address)
            }
            (Kind::Addresses { most }, Value::Array(list)) => {
                return check_list(list, most, is_address);
            }
            (Kind::Roles, Value::Array(list)) => {
                let is_role = |name: &str| name.parse::<RoleName>().is_ok();
                return check_list(list, RoleName::ALL.len(), is_role);
            }
            (Kind::Whole { least, most }, Value::Integer(number)) => {
                u64::try_from(*number).is_ok_and(|number| (least..=most).contains(&number))
            }
            (Kind::OneOf(numbers), Value::Integer(number)) => {
                u64::try_from(*number).is_ok_and(|number| numbers.contains(&number))
            }
            (Kind::Flag, Value::Boolean(_)) => true,
            _ => false,
        };
        if holds { Ok(()) } else { Err(WHOLE) }
    }

    /// A value as it stands in a variable or a flag: lists with commas, text without quotes.
    pub(crate) fn parse(self, text: &str) -> Option<Value> {
        match self {
            Kind::Path | Kind::Text { .. } | Kind::Listen | Kind::Address | Kind::Url => {
                Some(Value::String(text.into()))
            }
            Kind::Addresses { .. } | Kind::Roles => {
                let elements = text.split(',').map(str::trim).filter(|e| !e.is_empty());
                Some(elements.map(Value::from).collect::<Vec<_>>().into())
            }
            Kind::Whole { .. } | Kind::OneOf(_) => text.parse().ok().map(Value::Integer),
            Kind::Flag => text.parse().ok().map(Value::Boolean),
        }
    }
}

fn check_list(list: &[Value], most: usize, is_one: impl Fn(&str) -> bool) -> Result<(), Wrong> {
    let mut seen = BTreeSet::new();
    for (i, element) in list.iter().enumerate() {
        let text = element.as_str().filter(|text| is_one(text));
        if i == most || !text.is_some_and(|text| seen.insert(text)) {
            return Err(Wrong { element: Some(i) });
        }
    }
    Ok(())
}

/// A name or an IP address, and a port that can be dialled.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_holds = match bracketed {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_of_a_host),
    };
    host_holds && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}
