//! Owners as people write them: `alice`, `1000`, `alice:staff`, `:staff`; names are this machine's.
use nix::unistd::{Gid, Group, Uid, User};
use std::str::FromStr;

/// Who is to own something. At least one of the two is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Owner, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, group),
            None => (text, ""),
        };
        if user.is_empty() && group.is_empty() {
            return Err("write OWNER, OWNER:GROUP or :GROUP".into());
        }
        let wanted = |name: &str| (!name.is_empty()).then(|| name.to_string());
        Ok(Owner {
            uid: wanted(user).map(|name| parse_user(&name)).transpose()?,
            gid: wanted(group).map(|name| parse_group(&name)).transpose()?,
        })
    }
}

/// A number, or the name of a user of this machine.
pub(crate) fn parse_user(name: &str) -> Result<u32, String> {
    let known = || User::from_name(name).ok().flatten();
    let uid = name
        .parse()
        .ok()
        .or_else(|| known().map(|u| u.uid.as_raw()));
    uid.ok_or_else(|| format!("this machine knows no user `{name}`: write the number"))
}

/// A number, or the name of a group of this machine.
pub(crate) fn parse_group(name: &str) -> Result<u32, String> {
    let known = || Group::from_name(name).ok().flatten();
    let gid = name
        .parse()
        .ok()
        .or_else(|| known().map(|g| g.gid.as_raw()));
    gid.ok_or_else(|| format!("this machine knows no group `{name}`: write the number"))
}

/// The name of a user here; else the number.
pub(crate) fn user_name(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The name of a group here; else the number.
pub(crate) fn group_name(gid: u32) -> String {
    let known = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    known.map_or_else(|| gid.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_as_chown_knows_them() {
        let owner = |uid, gid| Ok(Owner { uid, gid });
        assert_eq!("7".parse::<Owner>(), owner(Some(7), None));
        assert_eq!("7:8".parse::<Owner>(), owner(Some(7), Some(8)));
        assert_eq!(":8".parse::<Owner>(), owner(None, Some(8)));
        assert_eq!("7:".parse::<Owner>(), owner(Some(7), None));
        assert_eq!("root".parse::<Owner>(), owner(Some(0), None));
        for bad in ["", ":", "no such user", "7:no such group", "-1"] {
            assert!(bad.parse::<Owner>().is_err(), "{bad}");
        }
        assert_eq!(user_name(0), "root");
        assert_eq!(group_name(3_999_999_999), "3999999999");
    }
}
