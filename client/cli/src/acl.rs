//! ACLs as people write and read them: `u:alice:rwx,d:g:dev:rx`, and the lines of getfacl(1).
use crate::owner::{group_name, parse_group, parse_user, user_name};
use dfs_fs::Entry;
use dfs_fs::v1::{self, AclTag};

/// What a list of entries asks for: (of the access ACL, of the default ACL).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spec {
    pub(crate) access: Vec<v1::AclEntry>,
    pub(crate) default: Vec<v1::AclEntry>,
}

/// Whether entries come with permissions (`-m`) or without (`-x`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Perms {
    Given,
    None,
}

/// # Errors
/// What is wrong with it, in words.
pub(crate) fn parse(text: &str, perms: Perms) -> Result<Spec, String> {
    let mut spec = Spec::default();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (is_default, entry) = entry(part, perms)?;
        let to = if is_default {
            &mut spec.default
        } else {
            &mut spec.access
        };
        to.push(entry);
    }
    match spec == Spec::default() {
        true => Err("it names no entry: write u:alice:rwx,g:dev:rx,d:u:bob:rwx".into()),
        false => Ok(spec),
    }
}

fn entry(text: &str, perms: Perms) -> Result<(bool, v1::AclEntry), String> {
    let mut words: Vec<&str> = text.split(':').collect();
    let is_default = ["d", "default"].contains(&words[0]);
    if is_default {
        words.remove(0);
    }
    let [kind, rest @ ..] = &words[..] else {
        return Err(format!("`{text}` has no kind"));
    };
    // `m::rx`, as `m:rx` too.
    let (name, bits) = match (rest, perms) {
        ([name, bits], Perms::Given) => (*name, *bits),
        ([bits], Perms::Given) if ["m", "mask", "o", "other"].contains(kind) => ("", *bits),
        ([name], Perms::None) | ([name, ""], Perms::None) => (*name, ""),
        ([], Perms::None) => ("", ""),
        (_, Perms::Given) => return Err(format!("`{text}` is not KIND:NAME:PERMISSIONS")),
        (_, Perms::None) => return Err(format!("`{text}` is not KIND:NAME")),
    };
    let (tag, id) = tag_of(kind, name).map_err(|why| format!("`{text}`: {why}"))?;
    let perms = match perms {
        Perms::Given => {
            bits_of(bits).ok_or_else(|| format!("`{bits}` are no permissions: rwx, r-x, 5"))?
        }
        Perms::None => 0,
    };
    let tag = tag as i32;
    Ok((is_default, v1::AclEntry { tag, id, perms }))
}

fn tag_of(kind: &str, name: &str) -> Result<(AclTag, u32), String> {
    match (kind, name) {
        ("u" | "user", "") => Ok((AclTag::UserObj, 0)),
        ("u" | "user", name) => Ok((AclTag::User, parse_user(name)?)),
        ("g" | "group", "") => Ok((AclTag::GroupObj, 0)),
        ("g" | "group", name) => Ok((AclTag::Group, parse_group(name)?)),
        ("m" | "mask", "") => Ok((AclTag::Mask, 0)),
        ("o" | "other", "") => Ok((AclTag::Other, 0)),
        ("m" | "mask" | "o" | "other", _) => Err("mask and other have no name".into()),
        _ => Err("its kind is not user, group, mask or other".into()),
    }
}

fn bits_of(text: &str) -> Option<u32> {
    if let Ok(digit) = text.parse::<u32>() {
        return (digit <= 7).then_some(digit);
    }
    let mut bits = 0;
    for letter in text.chars() {
        bits |= match letter {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            '-' => 0,
            _ => return None,
        };
    }
    (!text.is_empty()).then_some(bits)
}

fn letters(perms: u32) -> String {
    let letter = |bit, letter| if perms & bit != 0 { letter } else { '-' };
    [letter(4, 'r'), letter(2, 'w'), letter(1, 'x')]
        .iter()
        .collect()
}

/// All of the access ACL, what the mode says too, in the order of getfacl(1).
fn access(entry: &Entry) -> Vec<v1::AclEntry> {
    let plain = |tag: AclTag, perms: u32| v1::AclEntry {
        tag: tag as i32,
        id: 0,
        perms: perms & 7,
    };
    let mode = entry.mode;
    let mut all = match &entry.acl {
        Some(acl) => {
            let mut all = acl.entries.clone();
            all.push(plain(AclTag::Mask, mode >> 3));
            all
        }
        None => vec![plain(AclTag::GroupObj, mode >> 3)],
    };
    all.push(plain(AclTag::UserObj, mode >> 6));
    all.push(plain(AclTag::Other, mode));
    all.sort_by_key(|entry| (entry.tag, entry.id));
    all
}

/// `user:alice:rwx`, with `#effective` where the mask takes something away.
fn lines_of(entries: &[v1::AclEntry], before: &str, lines: &mut Vec<String>) {
    let mut masks = entries.iter().filter(|entry| entry.tag() == AclTag::Mask);
    let mask = masks.next().map_or(7, |mask| mask.perms);
    for entry in entries {
        let (kind, name) = match entry.tag() {
            AclTag::UserObj => ("user", String::new()),
            AclTag::User => ("user", user_name(entry.id)),
            AclTag::GroupObj => ("group", String::new()),
            AclTag::Group => ("group", group_name(entry.id)),
            AclTag::Mask => ("mask", String::new()),
            AclTag::Other => ("other", String::new()),
            AclTag::Unspecified => continue,
        };
        let mut line = format!("{before}{kind}:{name}:{}", letters(entry.perms));
        let bounded = [AclTag::User, AclTag::GroupObj, AclTag::Group].contains(&entry.tag());
        if bounded && entry.perms & !mask != 0 {
            line.push_str(&format!("\t#effective:{}", letters(entry.perms & mask)));
        }
        lines.push(line);
    }
}

/// The block of an entry without its end: `# file:`, `# owner:`, `# group:`, `# flags:`, entries.
pub(crate) fn shown(entry: &Entry, path: &str) -> Vec<String> {
    let mut lines = vec![
        format!("# file: {path}"),
        format!("# owner: {}", user_name(entry.uid)),
        format!("# group: {}", group_name(entry.gid)),
    ];
    if entry.mode & 0o7000 != 0 {
        let flag = |bit, letter| if entry.mode & bit != 0 { letter } else { '-' };
        let flags: String = [flag(0o4000, 's'), flag(0o2000, 's'), flag(0o1000, 't')]
            .iter()
            .collect();
        lines.push(format!("# flags: {flags}"));
    }
    lines_of(&access(entry), "", &mut lines);
    if let Some(default) = &entry.default_acl {
        lines_of(&default.entries, "default:", &mut lines);
    }
    lines
}

/// Numbers and letters, for programs.
pub(crate) fn to_json(entry: &Entry) -> serde_json::Value {
    let one = |entry: &v1::AclEntry| {
        let kind = match entry.tag() {
            AclTag::UserObj | AclTag::User => "user",
            AclTag::GroupObj | AclTag::Group => "group",
            AclTag::Mask => "mask",
            AclTag::Other | AclTag::Unspecified => "other",
        };
        let named = [AclTag::User, AclTag::Group].contains(&entry.tag());
        let id = named.then_some(entry.id);
        serde_json::json!({ "kind": kind, "id": id, "perms": letters(entry.perms) })
    };
    let access: Vec<_> = access(entry).iter().map(one).collect();
    let default = entry.default_acl.iter().flat_map(|acl| &acl.entries);
    let default: Vec<_> = default.map(one).collect();
    serde_json::json!({ "access": access, "default": default })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_as_setfacl_knows_them() {
        let spec =
            parse("u:7:rwx,g::r-x,m:5,d:o::-,default:group:8:4", Perms::Given).expect("good");
        let got = |entries: &[v1::AclEntry]| -> Vec<(AclTag, u32, u32)> {
            entries.iter().map(|e| (e.tag(), e.id, e.perms)).collect()
        };
        let access = [
            (AclTag::User, 7, 7),
            (AclTag::GroupObj, 0, 5),
            (AclTag::Mask, 0, 5),
        ];
        assert_eq!(got(&spec.access), access);
        let default = [(AclTag::Other, 0, 0), (AclTag::Group, 8, 4)];
        assert_eq!(got(&spec.default), default);
        let removed = parse("u:7,m,d:g:8:", Perms::None).expect("good");
        let access = [(AclTag::User, 7, 0), (AclTag::Mask, 0, 0)];
        assert_eq!(got(&removed.access), access);
        assert_eq!(got(&removed.default), [(AclTag::Group, 8, 0)]);
        for bad in [
            "",
            "u:7",
            "u:7:rwz",
            "x:7:r",
            "o:7:r",
            "u:7:8",
            "d:",
            "u:no such user:r",
        ] {
            assert!(parse(bad, Perms::Given).is_err(), "{bad}");
        }
        assert!(parse("u:7:rwx", Perms::None).is_err());
    }
}
